import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import fc from 'fast-check';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import { csvLine } from '../../src/operator/audit.ts';
import { type OperatorOptions, operatorRouter } from '../../src/operator/router.ts';
import { silent } from '../support/engine.ts';

describe('the audit over HTTP', () => {
  let journal: Journal;
  let base: string;
  let close: () => Promise<void>;

  before(async function () {
    this.timeout(60_000);
    journal = await openJournal({});
    const options: OperatorOptions = {
      journal,
      flows: flowRegistry({}),
      connectors: [],
      runs: { view: async () => undefined, decide: () => Promise.reject(new Error('not asked')) },
      namespace: 'default',
      logger: silent,
    };
    const server = createServer(express().use('/api/v1', operatorRouter(options)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/audit`;
    close = () => new Promise((resolve) => server.close(() => resolve()));
    for (let number = 1; number <= 1_203; number += 1) {
      await journal.audit.record({
        actor: number % 2 === 0 ? 'ada' : '=cmd|calc',
        action: 'dead_letter.discard',
        target: `held-${number}`,
        tenant: 'acme',
        reason: number === 7 ? 'said "no",\nthen\u2028left' : 'done',
        details: { number },
      });
    }
  });
  after(async () => {
    await close?.();
    await journal?.close();
  });

  const text = async (query: string) => {
    const response = await fetch(`${base}?${query}`);
    return {
      status: response.status,
      type: response.headers.get('content-type'),
      body: await response.text(),
    };
  };

  it('comes in pages', async () => {
    const first = JSON.parse((await text('limit=2&target=held-1203')).body);
    assert.equal(first.rows.length, 1);
    const page = JSON.parse((await text('limit=2&actor=ada')).body);
    assert.deepEqual(
      page.rows.map(({ target }: { target: string }) => target),
      ['held-1202', 'held-1200'],
    );
    const next = JSON.parse((await text(`limit=2&actor=ada&after=${page.next}`)).body);
    assert.equal(next.rows[0].target, 'held-1198');
  });

  it('comes as a whole in lines of JSON, whatever the limit', async () => {
    const { type, body } = await text('format=ndjson&tenant=acme');
    assert.match(type ?? '', /^application\/x-ndjson/);
    const rows = body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.equal(rows.length, 1_203);
    assert.equal(new Set(rows.map(({ target }) => target)).size, 1_203);
    assert.equal(rows[0].target, 'held-1203');
    assert.equal(
      rows.find(({ target }) => target === 'held-7').reason,
      'said "no",\nthen\u2028left',
    );
  });

  it('comes as CSV that a spreadsheet does not execute', async () => {
    const { type, body } = await text('format=csv&tenant=acme');
    assert.match(type ?? '', /^text\/csv/);
    const rows = parsedCsv(body);
    assert.deepEqual(rows[0], ['at', 'actor', 'action', 'target', 'tenant', 'reason', 'details']);
    assert.equal(rows.length, 1_204);
    const row = rows.find((fields) => fields[3] === 'held-7');
    assert.deepEqual(row?.slice(1), [
      "'=cmd|calc",
      'dead_letter.discard',
      'held-7',
      'acme',
      'said "no",\nthen\u2028left',
      '{"number":7}',
    ]);
  });

  it('has its columns also when nothing is found', async () => {
    assert.equal((await text('format=csv&tenant=nobody')).body.split('\r\n').length, 2);
    assert.equal((await text('format=ndjson&tenant=nobody')).body, '');
  });

  it('refuses times and formats that are none', async () => {
    for (const query of [
      'from=yesterday',
      'to=2026-13-40T00:00:00Z',
      'format=xml',
      'who=ada',
      'from=1',
    ]) {
      const { status, body } = await text(query);
      assert.equal(status, 400, query);
      assert.equal(JSON.parse(body).code, 'query_invalid');
    }
    assert.equal((await text('from=2026-01-01&to=2999-01-01T00:00:00%2B01:00')).status, 200);
  });
});

describe('a line of CSV', () => {
  it('gives back what was put in, but for the apostrophe before a formula', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom(...'=+-@"\',\r\n\ta 1;|') }), { minLength: 2 }),
        (fields) => {
          const [parsed] = parsedCsv(csvLine(fields));
          assert.deepEqual(
            parsed,
            fields.map((field) => (/^[=+\-@\t\r\n]/.test(field) ? `'${field}` : field)),
          );
        },
      ),
    );
  });

  it('has no field that begins like a formula', () => {
    for (const begin of '=+-@\t\r\n') {
      assert.match(csvLine([`${begin}1+1`]), /^"?'/);
    }
  });
});

/** RFC 4180, letter by letter. */
function parsedCsv(text: string): readonly (readonly string[])[] {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  while (at < text.length) {
    let field = '';
    if (text[at] === '"') {
      for (at += 1; !(text[at] === '"' && text[at + 1] !== '"'); at += 1) {
        assert.ok(at < text.length, 'a quote is not closed');
        if (text[at] === '"') at += 1;
        field += text[at];
      }
      at += 1;
    } else while (at < text.length && !',\r\n'.includes(text[at] ?? '')) field += text[at++];
    row.push(field);
    if (text[at] === ',') {
      at += 1;
      continue;
    }
    assert.equal(text.slice(at, at + 2), '\r\n');
    at += 2;
    rows.push(row);
    row = [];
  }
  return rows;
}
