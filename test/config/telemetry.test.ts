import assert from 'node:assert/strict';
import { createLogger } from '../../src/telemetry.ts';

function logged(pretty: boolean, write: (logger: ReturnType<typeof createLogger>) => void): string {
  const lines: string[] = [];
  write(
    createLogger({
      level: 'info',
      pretty,
      destination: { write: (line) => void lines.push(line) },
    }),
  );
  return lines.join('');
}

describe('the logger', () => {
  it('never writes the value of a field that is named like a secret', () => {
    const failure = Object.assign(new Error('slack said no'), {
      config: { headers: { Authorization: 'Bearer hunter2', 'x-hub-signature-256': 'hunter2' } },
    });
    for (const pretty of [false, true]) {
      const text = logged(pretty, (logger) => {
        logger.info({
          token: 'hunter2',
          deep: { clientSecret: 'hunter2', list: [{ cookie: 'hunter2' }] },
        });
        logger.error({ err: failure, other: failure }, 'failed');
        logger.error(failure);
        logger.child({ apiKey: 'hunter2' }).info('from a child');
      });
      assert.doesNotMatch(text, /hunter2/);
      assert.match(text, /slack said no/);
      assert.match(text, /telemetry\.test/);
    }
  });

  it('writes one JSON object a line, with level and time in words', () => {
    const line = JSON.parse(logged(false, (logger) => logger.warn({ run: 'a:b:c' }, 'slow')));
    assert.equal(line.level, 'warn');
    assert.equal(line.run, 'a:b:c');
    assert.equal(line.msg, 'slow');
    assert.ok(Number.isFinite(Date.parse(line.time)));
  });

  it('writes short lines for people when asked to', () => {
    const text = logged(true, (logger) => logger.info({ run: 'a:b:c', count: 2 }, 'opened'));
    assert.match(text, /^\d\d:\d\d:\d\d info {2}opened {2}run=a:b:c {2}count=2\n$/);
  });

  it('survives a field that holds itself', () => {
    const loop: { self?: unknown } = {};
    loop.self = loop;
    assert.match(
      logged(false, (logger) => logger.info({ loop }, 'round')),
      /round/,
    );
  });
});
