/** Run by embedded.test.ts: appends to the journal in a directory, printing how many are committed. */
import { openJournal } from '../../src/journal/open.ts';
import { freshRun, numbersOf } from './entries.ts';

const [, , directory = ''] = process.argv;
const journal = await openJournal({ directory });
const { entry } = freshRun();
for (;;) {
  const results = await Promise.all(Array.from({ length: 10 }, () => journal.append([entry()])));
  process.stdout.write(`${Math.max(...numbersOf(results.flat()))}\n`);
}
