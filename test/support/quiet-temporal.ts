/** Loaded before every test: of Temporal's SDK, only errors are worth a line. */
import { DefaultLogger, Runtime } from '@temporalio/worker';

Runtime.install({ logger: new DefaultLogger('ERROR') });
