/**
 * One row for each rule of CloudEvents 1.0.2 that a receiver over HTTP can keep or break, under the
 * section that states it: https://github.com/cloudevents/spec/tree/v1.0.2/cloudevents
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'mocha';
import type { TidegateEvent } from '../../src/model/event.ts';
import {
  type Answer,
  BATCH,
  STRUCTURED,
  startTestIngress,
  storedEvent,
  type TestIngress,
} from './support.ts';

type Headers = readonly (readonly [string, string])[];
interface Sent {
  readonly headers?: Headers;
  /** Without the default headers of this name. */
  readonly without?: readonly string[];
  readonly body?: string | Buffer;
  /** What is different from the default event, for JSON. */
  readonly fields?: object;
}
/** Taken, and these fields of the event are so; or refused with a status and the paths of problems. */
type Expected =
  | { readonly [Field in keyof TidegateEvent]?: TidegateEvent[Field] | undefined }
  | readonly [status: number, ...paths: string[]];
type Row = readonly [rule: string, sent: Sent, expected: Expected];

let lastId = 0;
const nextId = (): string => {
  lastId += 1;
  return `binding-${lastId}`;
};

const header = (name: string, value: string): Sent => ({ headers: [[name, value]] });
const subject = (value: string): Sent => header('ce-subject', value);
const event = (fields: object): Sent => ({ fields });
const base64 = (content: string): string => Buffer.from(content).toString('base64');
const utf16 = (content: string): Buffer => Buffer.from(content, 'utf16le');

const BINARY: Readonly<Record<string, readonly Row[]>> = {
  'HTTP 3.1.1 Content-Type': [
    [
      'is datacontenttype, and that need not be said of application/json',
      header('Content-Type', 'application/json'),
      { data: { a: 1 }, datacontenttype: undefined },
    ],
    [
      'any other JSON is kept as datacontenttype',
      header('Content-Type', 'application/vnd.acme+json; charset=UTF-8'),
      { data: { a: 1 }, datacontenttype: 'application/vnd.acme+json; charset=UTF-8' },
    ],
    [
      'is not told apart by case',
      header('Content-Type', 'Application/JSON; CharSet="UTF-8"'),
      { data: { a: 1 } },
    ],
    [
      'MUST NOT be accompanied by ce-datacontenttype',
      header('ce-datacontenttype', 'application/json'),
      [422, 'datacontenttype'],
    ],
    ['that is not JSON is data we do not take', header('Content-Type', 'application/xml'), [415]],
    ['that is missing says nothing of a body', { without: ['Content-Type'] }, [415]],
    [
      'that is missing without a body is an event without data',
      { without: ['Content-Type'], body: '' },
      { data: null },
    ],
    [
      'in UTF-16 is not read as something else',
      { headers: [['Content-Type', 'application/json; charset=utf-16']], body: utf16('{}') },
      [415],
    ],
  ],
  'HTTP 3.1.2 Event data encoding': [
    ['the body is the data as it is', { body: '[1,"zwei"]' }, { data: [1, 'zwei'] }],
    ['a string of JSON is a string', { body: '"{\\"a\\":1}"' }, { data: '{"a":1}' }],
    ['what is not JSON is not guessed at', { body: '{"a":' }, [400]],
    ['a body with a broken UTF-8 is refused', { body: Buffer.from([0x22, 0xc0, 0x22]) }, [400]],
  ],
  'HTTP 3.1.3.1 Header names': [
    ['have no case', header('CE-SUBJECT', 'upper'), { subject: 'upper' }],
    ['extensions have the prefix too', header('ce-myext', '5'), { extensions: { myext: '5' } }],
    ['a header without the prefix is no attribute', header('subject', 'x'), { subject: undefined }],
    [
      'traceparent, whose extension maps it to its own header, is read from there',
      header('traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'),
      { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
    ],
    [
      'an attribute appears once',
      {
        headers: [
          ['ce-subject', 'a'],
          ['ce-subject', 'b'],
        ],
      },
      [422, 'subject'],
    ],
    ['a name has letters and digits', header('ce-my_ext', '1'), [422, 'my_ext']],
    ['a name has one character', header('ce-', '1'), [422, '']],
    ['data is no name', header('ce-data', '{}'), [422, 'data']],
    ['over 20 characters are against a SHOULD', header(`ce-${'x'.repeat(21)}`, '1'), {}],
  ],
  'HTTP 3.1.3.2 Header values': [
    ['are percent-decoded', subject('Euro%20%E2%82%AC%20%F0%9F%98%80'), { subject: 'Euro € 😀' }],
    ['once', subject('100%2525%2541'), { subject: '100%25%41' }],
    ['also where it was not necessary', subject('%41%62%63'), { subject: 'Abc' }],
    ['with lower-case digits', subject('%e2%82%ac'), { subject: '€' }],
    ['a plus is a plus', subject('a+b'), { subject: 'a+b' }],
    ['an overlong encoding is refused', subject('%C0%A0'), [422, 'subject']],
    ['half a character is refused', subject('%E2%82'), [422, 'subject']],
    ['half a surrogate pair is refused', subject('%ED%A0%80'), [422, 'subject']],
    ['a percent alone is refused', subject('100%'), [422, 'subject']],
    ['a percent before no digits is refused', subject('%zz'), [422, 'subject']],
    ['double quotes are removed', subject('"a b"'), { subject: 'a b' }],
    ['with the backslashes in them', subject('"a \\"b\\" \\\\ \\c"'), { subject: 'a "b" \\ c' }],
    ['before the percent-decoding', subject('"%22a%22"'), { subject: '"a"' }],
    ['a quote in the middle is a quote', subject('a"b"'), { subject: 'a"b"' }],
    ['a space is a space, as older versions sent it', subject('a b'), { subject: 'a b' }],
    ['a parenthesis is no comment', subject('a (b)'), { subject: 'a (b)' }],
    ['whitespace around is not part', subject('  a  '), { subject: 'a' }],
    [
      'bytes outside of ASCII are refused, not guessed',
      subject('Gr\u00fc\u00dfe'),
      [422, 'subject'],
    ],
    ['encoded control characters are refused', subject('a%00b'), [422, 'subject']],
    ['and those of C1', subject('a%C2%85b'), [422, 'subject']],
    ['and noncharacters', subject('a%EF%BF%BFb'), [422, 'subject']],
  ],
};

const JSON_FORMAT: Readonly<Record<string, readonly Row[]>> = {
  'HTTP 3.2.1 Content-Type': [
    [
      'has no case and may say UTF-8',
      { headers: [['Content-Type', 'Application/CloudEvents+JSON; Charset=UTF-8']] },
      {},
    ],
    [
      'may have quoted and other parameters',
      { headers: [['Content-Type', 'application/cloudevents+json; charset="utf-8"; x=y']] },
      {},
    ],
    [
      'in UTF-16 is refused',
      { headers: [['Content-Type', 'application/cloudevents+json; charset=utf-16']] },
      [415],
    ],
    [
      'with a format that we do not have is refused, and not read as binary',
      { headers: [['Content-Type', 'application/cloudevents+avro']] },
      [415],
    ],
    [
      'without a format, likewise',
      { headers: [['Content-Type', 'application/cloudevents']] },
      [415],
    ],
  ],
  'HTTP 3.2.3 Metadata headers': [
    ['may be there and count for nothing', header('ce-subject', 'header'), { subject: undefined }],
    [
      'in the payload they are complete',
      { headers: [['ce-id', 'in-a-header']], ...event({ id: undefined }) },
      [422, 'id'],
    ],
  ],
  'JSON 2.2 Type system mapping': [
    ['a boolean is a boolean', event({ e: true }), { extensions: { e: true } }],
    ['an integer is a number', event({ e: -7 }), { extensions: { e: -7 } }],
    ['from -2^31', event({ e: -(2 ** 31) }), { extensions: { e: -(2 ** 31) } }],
    ['to 2^31-1', event({ e: 2 ** 31 - 1 }), { extensions: { e: 2 ** 31 - 1 } }],
    ['and not beyond', event({ e: 2 ** 31 }), [422, 'e']],
    ['nor below', event({ e: -(2 ** 31) - 1 }), [422, 'e']],
    ['nor with a fraction', event({ e: 1.5 }), [422, 'e']],
    ['a string is a string', event({ e: 'ü %41' }), { extensions: { e: 'ü %41' } }],
    ['an empty one too', event({ e: '' }), { extensions: { e: '' } }],
    ['an object is none of them', event({ e: {} }), [422, 'e']],
    ['an array is none of them', event({ e: ['a'] }), [422, 'e']],
    ['null is unset', event({ e: null, subject: null, time: null }), { extensions: undefined }],
    ['also of what is required', event({ id: null }), [422, 'id']],
    ['null is no data_base64', event({ data: { a: 1 }, data_base64: null }), { data: { a: 1 } }],
    ['a C1 control is in no string', event({ e: 'a\u0085' }), [422, 'e']],
    ['a noncharacter neither', event({ e: 'a\ufdd0' }), [422, 'e']],
    ['half a surrogate pair neither', event({ e: 'a\ud800' }), [422, 'e']],
  ],
  'JSON 3.1 Handling of data': [
    ['data may be any JSON', event({ data: [null, { a: 1.5 }] }), { data: [null, { a: 1.5 }] }],
    ['null is data', event({ data: null }), { data: null }],
    ['it may be absent', event({ data: undefined }), { data: null }],
    ['a string is not parsed', event({ data: '{"a":1}' }), { data: '{"a":1}' }],
    [
      'also not where the type is JSON',
      event({ data: '{"a":1}', datacontenttype: 'application/json' }),
      { data: '{"a":1}', datacontenttype: undefined },
    ],
    [
      'of another type it is text',
      event({ data: '<much wow="xml"/>', datacontenttype: 'application/xml' }),
      { data: '<much wow="xml"/>', datacontenttype: 'application/xml' },
    ],
    [
      'and nothing but text',
      event({ data: { a: 1 }, datacontenttype: 'application/xml' }),
      [422, 'data'],
    ],
    [
      'data_base64 is decoded',
      event({ data: undefined, data_base64: base64('{"a":"ü"}') }),
      { data: { a: 'ü' } },
    ],
    [
      'beside data it is refused',
      event({ data: { a: 1 }, data_base64: base64('{"a":1}') }),
      [422, 'data_base64'],
    ],
    ['beside null data too', event({ data: null, data_base64: base64('1') }), [422, 'data_base64']],
    [
      'in the alphabet of RFC 4648 section 4 only',
      event({ data: undefined, data_base64: 'eyJhIjoiw7_DvyJ9' }),
      [422, 'data_base64'],
    ],
    ['with its padding', event({ data: undefined, data_base64: 'MTI' }), [422, 'data_base64']],
    ['as a string', event({ data: undefined, data_base64: 1 }), [422, 'data_base64']],
    [
      'bytes that are not JSON we do not take',
      event({ data: undefined, data_base64: 'AAEC', datacontenttype: 'image/png' }),
      [422, 'datacontenttype'],
    ],
  ],
  'JSON 3 Envelope': [
    ['is an object', { body: '[]' }, [422, '']],
    ['and not null', { body: 'null' }, [422, '']],
  ],
  'Core: attribute naming convention': [
    ['no upper case', event({ myExt: 'x' }), [422, 'myExt']],
    ['no underscore', event({ my_ext: 'x' }), [422, 'my_ext']],
    ['a digit may lead', event({ '1a': 'x' }), { extensions: { '1a': 'x' } }],
    [
      'constructor is a name like any',
      event({ constructor: 'x' }),
      { extensions: { constructor: 'x' } as never },
    ],
    ['__proto__ is none', event(JSON.parse('{"__proto__":"x"}')), [422, '__proto__']],
  ],
  'Core: required attributes': [
    ['id', event({ id: undefined }), [422, 'id']],
    ['id is not empty', event({ id: '' }), [422, 'id']],
    ['id is a string', event({ id: 7 }), [422, 'id']],
    ['source', event({ source: undefined }), [422, 'source']],
    ['source is not empty', event({ source: '' }), [422, 'source']],
    [
      'source is a URI',
      event({ source: 'https://a.example/b?c=d#e' }),
      { source: 'https://a.example/b?c=d#e' },
    ],
    ['or a URN', event({ source: 'urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66' }), {}],
    [
      'or a reference',
      event({ source: '/cloudevents/spec/pull/123' }),
      { source: '/cloudevents/spec/pull/123' },
    ],
    ['or a name', event({ source: '1-555-123-4567' }), { source: '1-555-123-4567' }],
    ['and no text with spaces', event({ source: 'my crm' }), [422, 'source']],
    ['nor beyond ASCII', event({ source: 'küche' }), [422, 'source']],
    ['nor a broken percent-encoding', event({ source: 'a%2' }), [422, 'source']],
    ['nor a colon in its first segment', event({ source: '12:30' }), [422, 'source']],
    ['specversion', event({ specversion: undefined }), [422, 'specversion']],
    ['specversion is 1.0', event({ specversion: '0.3' }), [422, 'specversion']],
    ['and not the patch', event({ specversion: '1.0.2' }), [422, 'specversion']],
    ['and not a number', event({ specversion: 1 }), [422, 'specversion']],
    ['type', event({ type: undefined }), [422, 'type']],
    ['type is not empty', event({ type: '' }), [422, 'type']],
  ],
  'Core: optional attributes': [
    [
      'datacontenttype is a media type',
      event({ datacontenttype: 'json', data: 'text' }),
      [422, 'datacontenttype'],
    ],
    [
      'dataschema is kept',
      event({ dataschema: 'https://a.example/s#/x' }),
      { dataschema: 'https://a.example/s#/x' },
    ],
    ['dataschema is absolute', event({ dataschema: '/s' }), [422, 'dataschema']],
    ['subject is not empty', event({ subject: '' }), [422, 'subject']],
    [
      'time is RFC 3339',
      event({ time: '2018-04-05t17:31:00.5+02:00' }),
      { time: '2018-04-05T17:31:00.5+02:00' },
    ],
    ['with its offset', event({ time: '2018-04-05T17:31:00' }), [422, 'time']],
    ['and on a day that there is', event({ time: '2018-02-30T17:31:00Z' }), [422, 'time']],
    ['and no number', event({ time: 1522949460 }), [422, 'time']],
  ],
  'Core: extension context attributes': [
    [
      'are kept as they came',
      event({ tracestate: 'a=b', partitionkey: 'p', sequence: '01', sampledrate: 30 }),
      { extensions: { tracestate: 'a=b', partitionkey: 'p', sequence: '01', sampledrate: 30 } },
    ],
    [
      'as many as fit',
      event(Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`e${at}`, 'x'.repeat(500)]))),
      [422, 'extensions'],
    ],
  ],
  'Core: size limits': [['64 KB are taken', event({ data: 'x'.repeat(65_536) }), {}]],
};

describe('CloudEvents over HTTP', () => {
  let ingress: TestIngress;
  before(async () => {
    ingress = await startTestIngress();
  });
  after(() => ingress.stop());

  async function post(headers: Headers, body: string | Buffer): Promise<Answer> {
    const request = httpRequest(`${ingress.url}/events`, {
      method: 'POST',
      // Names and values in turn are sent as they are, two of a name too.
      headers: [
        'Host',
        '127.0.0.1',
        ...headers.flat(),
        'Content-Length',
        String(Buffer.byteLength(body)),
      ],
    });
    request.end(body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const answer = JSON.parse(await text(response)) as Answer['body'];
    return { status: response.statusCode ?? 0, headers: new Headers(), body: answer };
  }

  /** The rule's headers take the place of the defaults. */
  function headersOf(defaults: Headers, { headers = [], without = [] }: Sent): Headers {
    const names = new Set(
      [...headers.map(([name]) => name), ...without].map((name) => name.toLowerCase()),
    );
    return [...defaults.filter(([name]) => !names.has(name.toLowerCase())), ...headers];
  }

  async function holds(id: string, answer: Answer, expected: Expected): Promise<void> {
    if (Array.isArray(expected)) {
      const [status, ...paths] = expected as readonly [number, ...string[]];
      assert.equal(answer.status, status, JSON.stringify(answer.body));
      assert.deepEqual(answer.body.errors?.map(({ path }) => path) ?? [], paths);
      assert.deepEqual(await ingress.journal.findEvents(undefined, id), []);
      return;
    }
    assert.equal(answer.status, 202, JSON.stringify(answer.body));
    const { 0: result } = answer.body.results ?? [];
    assert.equal(result?.status, 'accepted', JSON.stringify(answer.body));
    const stored = await storedEvent(ingress, id);
    assert.deepEqual({ ...stored, ...expected }, { ...expectedFields(expected), ...stored });
  }
  /** `undefined` expects a field to be absent. */
  const expectedFields = (expected: object) =>
    Object.fromEntries(Object.entries(expected).filter(([, value]) => value === undefined));

  for (const [section, rows] of Object.entries(BINARY)) {
    describe(`binary mode, ${section}`, () => {
      for (const [rule, sent, expected] of rows) {
        it(rule, async () => {
          const id = nextId();
          const defaults: Headers = [
            ['ce-specversion', '1.0'],
            ['ce-id', id],
            ['ce-source', 'test'],
            ['ce-type', 'thing.seen'],
            ['Content-Type', 'application/json'],
          ];
          const answer = await post(headersOf(defaults, sent), sent.body ?? '{"a":1}');
          await holds(id, answer, expected);
        });
      }
    });
  }

  for (const [section, rows] of Object.entries(JSON_FORMAT)) {
    describe(`structured mode, ${section}`, () => {
      for (const [rule, sent, expected] of rows) {
        it(rule, async () => {
          const id = nextId();
          const defaults = { specversion: '1.0', id, source: 'test', type: 'thing.seen', data: {} };
          const headers = headersOf(Object.entries(STRUCTURED), sent);
          await holds(
            id,
            await post(headers, sent.body ?? JSON.stringify({ ...defaults, ...sent.fields })),
            expected,
          );
        });
      }
    });
  }

  describe('batched mode, HTTP 3.3 and JSON 4', () => {
    const batch = async (items: readonly unknown[], type = BATCH['content-type']) =>
      post([['Content-Type', type]], JSON.stringify(items));
    const good = (fields: object = {}) => ({
      specversion: '1.0',
      id: nextId(),
      source: 'test',
      type: 'thing.seen',
      ...fields,
    });
    const statuses = ({ body }: Answer) => body.results?.map(({ status }) => status);

    it('a batch MAY be empty', async () => {
      const answer = await batch([]);
      assert.equal(answer.status, 202);
      assert.deepEqual(answer.body, { results: [] });
    });

    it('its content type may say UTF-8', async () => {
      const answer = await batch([good()], 'application/cloudevents-batch+json; charset=UTF-8');
      assert.deepEqual(statuses(answer), ['accepted']);
    });

    it('is an array', async () => {
      const answer = await post([['Content-Type', BATCH['content-type']]], JSON.stringify(good()));
      assert.deepEqual([answer.status, answer.body.code], [422, 'invalid_event']);
    });

    it('an item that is no event is refused by itself', async () => {
      const answer = await batch([
        good(),
        null,
        7,
        [],
        good({ specversion: '0.3' }),
        good({ source: 'no uri' }),
        good(),
      ]);
      assert.equal(answer.status, 202);
      assert.deepEqual(statuses(answer), ['accepted', ...Array(5).fill('rejected'), 'accepted']);
    });

    it('each item has its own datacontenttype', async () => {
      const [xml, json] = [
        good({ datacontenttype: 'text/xml', data: '<a/>' }),
        good({ data: { a: 1 } }),
      ];
      assert.deepEqual(statuses(await batch([xml, json])), ['accepted', 'accepted']);
      assert.equal((await storedEvent(ingress, xml.id)).datacontenttype, 'text/xml');
      assert.equal((await storedEvent(ingress, json.id)).datacontenttype, undefined);
    });
  });
});
