import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openJournal } from '../../src/journal/open.ts';
import { freshRun, numbersOf } from './entries.ts';

describe('the embedded journal', function () {
  this.timeout(60_000);
  let directory: string;
  beforeEach(async () => {
    directory = join(await mkdtemp(join(tmpdir(), 'tidegate-journal-')), 'not', 'there', 'yet');
  });
  afterEach(() => rm(join(directory, '..', '..', '..'), { recursive: true, force: true }));

  it('is still there when it is opened again', async () => {
    const { run, entry } = freshRun();
    const kept = entry({ data: { text: 'NUL \0, half \ud83d a pair' } });
    const first = await openJournal({ directory });
    await first.append([kept, entry()]);
    await first.activities['journal.open']({ run, workflowRunId: 'execution-1', firstNumber: 1 });
    await first.close();

    const second = await openJournal({ directory });
    const [again, next] = await second.append([kept, entry()]);
    assert.deepEqual([again?.status, next?.status], ['duplicate', 'accepted']);
    assert.deepEqual(numbersOf(next === undefined ? [] : [next]), [3]);
    const [delivery] = await second.deliveriesAfter(run, 0, { count: 1, bytes: 1 });
    assert.deepEqual(delivery?.event, kept.event);
    assert.equal((await second.findRun(run))?.workflowRunId, 'execution-1');
    await second.close();
  });

  it('has every acknowledged event after its process was killed', async () => {
    const writer = spawn(
      process.execPath,
      [
        '--conditions=tidegate-source',
        '--import=tsx',
        fileURLToPath(new URL('./append-until-killed.ts', import.meta.url)),
        directory,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let acknowledged = 0;
    const exited = once(writer, 'exit');
    for await (const line of createInterface({ input: writer.stdout })) {
      acknowledged = Number(line);
      if (acknowledged >= 300) break;
    }
    writer.kill('SIGKILL');
    await exited;
    assert.ok(acknowledged >= 300);

    const journal = await openJournal({ directory });
    const { rows } = await journal.listRuns({}, {});
    const kept = rows[0]?.acceptedThrough ?? 0;
    assert.ok(kept >= acknowledged, `${kept} of ${acknowledged} acknowledged events were kept`);
    await journal.close();
  });

  it('keeps a second process out of its directory, until the first has closed', async () => {
    const first = await openJournal({ directory });
    await assert.rejects(openJournal({ directory }), (error: Error) => {
      assert.equal((error as { code?: unknown }).code, 'journal_unavailable');
      assert.match(error.message, /Another process has the embedded journal .* open/);
      return true;
    });
    await first.ping();
    await first.close();
    const second = await openJournal({ directory });
    await second.ping();
    await second.close();
  });

  it('closes once, however often it is told', async () => {
    const journal = await openJournal({});
    await Promise.all([journal.close(), journal.close()]);
    await assert.rejects(journal.append([freshRun().entry()]), { code: 'journal_unavailable' });
  });
});
