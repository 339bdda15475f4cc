const { writeFileSync } = require('node:fs');
const { reporters } = require('mocha');

// After the last test, the time in which the process must end by itself.
const exitGraceMs = 15_000;

/**
 * Mocha's spec reporter, closed by one plain line: `N passed, N failed`, with `, N skipped` when
 * there are any. Under scripts/test.mjs the numbers go to the file of TIDEGATE_TOTALS_FILE instead.
 * A test run that leaves a server, socket or timer behind is ended and counts one failure more.
 */
class TotalsReporter extends reporters.Spec {
  epilogue() {
    super.epilogue();
    const { passes: passed, failures: failed, pending: skipped } = this.stats;
    report({ passed, failed, skipped });
    setTimeout(() => {
      const left = [...new Set(process.getActiveResourcesInfo())].join(', ');
      console.log(`FAILED: the tests are over, but they left something running: ${left}`);
      report({ passed, failed: failed + 1, skipped });
      // After mocha's own exit handler, which would set the code by its count of failures.
      process.once('exit', () => {
        process.exitCode = 1;
      });
      process.exit();
    }, exitGraceMs).unref();
  }
}

function report(totals) {
  const file = process.env.TIDEGATE_TOTALS_FILE;
  if (file) writeFileSync(file, JSON.stringify(totals));
  else console.log(totalsLine(totals));
}

function totalsLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

module.exports = TotalsReporter;
