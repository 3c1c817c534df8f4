import type { AuditFinding, AuditReport, ReceiptProof } from '../client/runner/audit.ts';
import { explain } from '../client/terminal/explain.ts';
import { neutralise } from '../client/terminal/neutralise.ts';
import { EXIT, type ExitCode } from '../client/terminal/pipe.ts';
import type { ChatProcess } from './mlschat-run.ts';

/**
 * `mlschat audit`. Resolves with 0 when nothing speaks against the server, with 1 when something does or the audit failed;
 * never rejects.
 */
export async function runMlschatAudit(
  { config, json }: { readonly config: string; readonly json: boolean },
  io: Pick<ChatProcess, 'stdout' | 'stderr'>,
  audit: (dir: string) => Promise<AuditReport>,
): Promise<ExitCode> {
  let report: AuditReport;
  try {
    report = await audit(config);
  } catch (error) {
    io.stderr.write(`mlschat: ${explain(error)}\n`);
    return EXIT.error;
  }
  const rows = json ? [JSON.stringify(report)] : reportRows(report);
  io.stdout.write(`${rows.join('\n')}\n`);
  return report.findings.length === 0 ? EXIT.done : EXIT.error;
}

function reportRows({ groups, findings }: AuditReport): readonly string[] {
  const verdict =
    findings.length === 0
      ? 'Nothing here speaks against the server.'
      : 'The server is not to be trusted. Keep this, and compare it with what other members have.';
  return [
    ...groups.map(({ group, agreeing, waiting, unknown }) => {
      const rest = [
        ...(waiting > 0 ? [`${waiting} of entries that were not shown yet`] : []),
        ...(unknown > 0 ? [`${unknown} of entries that were not followed here`] : []),
      ];
      return `#${neutralise(group)}: ${agreeing} receipts agree with what was shown${rest.map((each) => `, ${each}`).join('')}`;
    }),
    ...findings.flatMap(findingRows),
    verdict,
  ];
}

function findingRows(finding: AuditFinding): readonly string[] {
  const where = `#${neutralise(finding.group)}, entry ${finding.position}`;
  switch (finding.kind) {
    case 'receipt':
      return [`${where}: the server signed one history and showed another`, ...proofRows(finding)];
    case 'unproven':
      return [`${where}: the server's receipt is worth nothing: ${neutralise(finding.reason)}`];
    case 'history':
      return [`${where}: the server shows another history there than it did before`];
    case 'split':
      return [`${where}: ${neutralise(finding.with)} and you were shown different histories`];
    default:
      return finding satisfies never;
  }
}

/** All that anybody needs who wants to check it; SECURITY.md says what is signed. */
function proofRows(proof: ReceiptProof): readonly string[] {
  return [
    `  signed at    ${new Date(proof.signedAt).toISOString()}`,
    `  signed head  ${proof.signedHead}`,
    `  shown head   ${proof.servedHead ?? '(another entry stands there)'}`,
    `  receipt      ${proof.receipt}`,
    `  signature    ${proof.signature}`,
    `  server key   ${proof.serverKey}`,
  ];
}
