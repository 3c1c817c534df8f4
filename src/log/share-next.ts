/** One that does not answer keeps nobody from asking: the other goes on. */
const UNDER_WAY_MAX = 2;

/**
 * Makes one question out of many asked at one time, without anybody being told what was true before it asked: all who come while
 * {@link UNDER_WAY_MAX} answers are awaited share the next question, which goes out as soon as one of them has come. When neither
 * does, those wait until one is given up, and may wait for their own as long again: for two timeouts of `ask`.
 *
 * @returns asks; settles as a call of `ask` does that began after this one
 */
export function shareNext<Answer>(ask: () => Promise<Answer>): () => Promise<Answer> {
  let underWay = 0;
  let next: { readonly answer: Promise<Answer>; readonly begin: () => void } | undefined;

  const askNow = async (): Promise<Answer> => {
    underWay += 1;
    try {
      return await ask();
    } finally {
      underWay -= 1;
      next?.begin();
    }
  };
  return () => {
    if (next !== undefined) return next.answer;
    if (underWay < UNDER_WAY_MAX) return askNow();
    let begin = (): void => {};
    const answer = new Promise<Answer>((resolve) => {
      begin = () => {
        next = undefined;
        resolve(askNow());
      };
    });
    next = { answer, begin };
    return answer;
  };
}
