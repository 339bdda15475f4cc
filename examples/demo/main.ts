/**
 * `npm run demo -- <story>`: tells a story of `examples/acme` on a running `npm start`, and exits 1
 * when the engine does not keep the story's promise. Without a name, the story of the deal digest.
 */
import { engineIsThere } from './engine';
import { stories } from './stories';
import { demoFailed, isDemoFailed, red, say } from './terminal';

const USAGE = 'npm run demo -- <story>';

async function demo([wanted = 'deal-digest']: readonly string[]): Promise<void> {
  if (wanted === '--list') return say(`\n${USAGE}\n\n${list()}\n`);
  const story = stories.find(({ name }) => name === wanted);
  if (story === undefined) throw demoFailed(`There is no story ${wanted}. ${USAGE}\n\n${list()}`);
  await engineIsThere(story.writesTo);
  await story.tell();
}

function list(): string {
  const width = Math.max(...stories.map(({ name }) => name.length));
  return stories.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n');
}

try {
  await demo(process.argv.slice(2));
} catch (error) {
  if (!isDemoFailed(error)) throw error;
  console.error(`\n${red(error.message)}\n`);
  process.exitCode = 1;
}
