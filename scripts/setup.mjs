// Makes a fresh clone ready to run: Node's version, the packages, the Temporal CLI.
// Runs before `npm ci`, so it may use nothing but Node. Silent when there is nothing to do.
import { linkEmbeddedPostgres } from './setup/embedded-postgres.mjs';
import { checkNode } from './setup/node.mjs';
import { installPackages } from './setup/packages.mjs';
import { SetupError } from './setup/step.mjs';
import { installTemporalCli } from './setup/temporal-cli.mjs';

try {
  checkNode();
  await installPackages();
  linkEmbeddedPostgres();
  await installTemporalCli(process.env);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  if (error.output) console.error(error.output);
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
}
