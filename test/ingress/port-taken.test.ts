import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startIngress } from '../../src/ingress/main.ts';
import { openJournal } from '../../src/journal/open.ts';
import { TidegateError } from '../../src/model/error.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import { createLogger } from '../../src/telemetry.ts';
import { localTemporal } from '../../src/temporal.ts';

describe('an ingress whose port is taken', () => {
  it('says which port and which variable moves it', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    const journal = await openJournal({});
    try {
      const start = startIngress({
        config: { host: '127.0.0.1', port },
        journal,
        temporal: localTemporal(1),
        catalogue: { contracts: {} },
        flows: flowRegistry({}),
        sources: [],
        connectors: [],
        logger: createLogger({ level: 'silent' }),
      });
      await assert.rejects(start, (error) => {
        assert.ok(TidegateError.is(error, 'port_taken'));
        assert.match(error.message, new RegExp(`port ${port}.*set PORT`));
        return true;
      });
    } finally {
      await journal.close();
      other.close();
    }
  });
});
