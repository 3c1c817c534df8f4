import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What was in use at a time: milliseconds of any clock, MiB. */
export interface MemorySample {
  readonly at: number;
  readonly mib: number;
}

/** How the memory of a process went, told by the line that fits best to what was seen of it once it had warmed up. */
export interface MemoryTrend {
  readonly samples: number;
  /** Of the line, at its beginning and at its end. */
  readonly fromMib: number;
  readonly toMib: number;
  readonly mibPerHour: number;
  /** Twice the standard error of that. */
  readonly uncertainty: number;
  /** Grows by no more than is allowed, or by what cannot be told from noise. */
  readonly isFlat: boolean;
}

/** In this share of the time caches, buffers, duplicate windows and the compiler come to what they need. */
const WARM_UP_SHARE = 0.4;
/** Garbage comes and goes: the least of each window is what a program keeps. */
const WINDOWS = 30;
/** Two numbers and one degree of freedom. */
const SAMPLES_MIN = 3;
const STANDARD_ERRORS = 2;

/**
 * Least squares over the least value of each window after the warm-up.
 *
 * @param growthMax what may be added during the judged time: a share of what is there, and in any case these MiB
 */
export function judgeMemory(
  samples: readonly MemorySample[],
  growthMax: { readonly share: number; readonly mib: number },
): MemoryTrend {
  const first = samples[0]?.at ?? 0;
  const span = (samples.at(-1)?.at ?? 0) - first;
  const judged = leastOfWindows(samples.filter(({ at }) => at >= first + WARM_UP_SHARE * span));
  if (judged.length < SAMPLES_MIN) throw new Error(`${samples.length} samples of memory are too few to judge`);
  const meanAt = mean(judged.map(({ at }) => at));
  const meanMib = mean(judged.map(({ mib }) => mib));
  const spread = sum(judged.map(({ at }) => (at - meanAt) ** 2));
  const slope = sum(judged.map(({ at, mib }) => (at - meanAt) * (mib - meanMib))) / spread;
  const onLine = (at: number): number => meanMib + slope * (at - meanAt);
  const residuals = sum(judged.map(({ at, mib }) => (mib - onLine(at)) ** 2));
  const error = STANDARD_ERRORS * Math.sqrt(residuals / (judged.length - 2) / spread);
  const [begin, end] = [judged[0]!.at, judged.at(-1)!.at];
  const allowed = Math.max(growthMax.mib, growthMax.share * onLine(begin));
  return {
    samples: samples.length,
    fromMib: onLine(begin),
    toMib: onLine(end),
    mibPerHour: slope * HOUR_MS,
    uncertainty: error * HOUR_MS,
    isFlat: slope <= error || slope * (end - begin) <= allowed,
  };
}

const HOUR_MS = 3_600_000;

function leastOfWindows(samples: readonly MemorySample[]): MemorySample[] {
  const width = Math.ceil(samples.length / WINDOWS);
  const least: MemorySample[] = [];
  for (let from = 0; from < samples.length; from += width) {
    least.push(samples.slice(from, from + width).reduce((a, b) => (b.mib < a.mib ? b : a)));
  }
  return least;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]): number => sum(values) / values.length;

const HEAP_DIARY = join(import.meta.dirname, 'heap-diary.cjs');
const MIB = 1024 * 1024;

/** What a process has taken for itself, MiB: without the files it has mapped, which its tables are. */
export function memoryMib(pid: number): number {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** Heaps of a process that is started with this environment, after full collections. */
export interface HeapDiary {
  readonly env: NodeJS.ProcessEnv;
  /** By thread: `0` is the main one. */
  read(): ReadonlyMap<string, readonly MemorySample[]>;
}

/** @param folder of this process alone */
export function openHeapDiary(folder: string): HeapDiary {
  mkdirSync(folder, { recursive: true });
  return {
    env: { NODE_OPTIONS: `--expose-gc --require ${HEAP_DIARY}`, MLSD_TEST_HEAP_DIARY: folder },
    read: () =>
      new Map(
        readdirSync(folder).map((name) => {
          const lines = readFileSync(join(folder, name), 'utf8').trim().split('\n');
          const samples = lines.map((line) => {
            const [at, bytes] = line.split(' ').map(Number) as [number, number];
            return { at, mib: bytes / MIB };
          });
          return [name.slice(name.indexOf('-') + 1), samples];
        }),
      ),
  };
}
