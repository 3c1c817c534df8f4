// Prints `N passed, N failed` from vitest's JSON report. A file that did not run counts as a failure, so does no report.
import { readFileSync } from 'node:fs';

const NO_REPORT = { testResults: [{ status: 'failed', assertionResults: [] }] };
const text = readFileSync(process.argv[2], 'utf8');
const report = {
  numPassedTests: 0,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  ...(text === '' ? NO_REPORT : JSON.parse(text)),
};
const broken = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
const passed = report.numPassedTests;
const failed = report.numFailedTests + broken.length;
const skipped = report.numPendingTests + report.numTodoTests;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
