import assert from 'node:assert/strict';
import fc from 'fast-check';
import { after, before, describe, it } from 'mocha';
import { openApiDocument } from '../../src/openapi/document.ts';
import {
  events,
  post,
  STRUCTURED,
  startTestIngress,
  type TestIngress,
} from '../ingress/support.ts';
import { type Document, newValidator, resolveIn } from './support/answers.ts';
import { hostileJson, type Schema, someOf } from './support/arbitrary.ts';

type Fields = Readonly<Record<string, unknown>>;

describe('The schema of a CloudEvent and the rules at the door', function () {
  this.timeout(120_000);
  const document = openApiDocument({ catalogue: events }) as unknown as Document;
  const resolve = resolveIn(document);
  const schema = resolve('#/components/schemas/CloudEvent') as Schema;
  const ajv = newValidator().addSchema(document as object, 'document');
  const check = ajv.compile({ $ref: 'document#/components/schemas/CloudEvent' });
  let ingress: TestIngress;
  before(async () => {
    ingress = await startTestIngress();
  });
  after(() => ingress.stop());

  // The JSON of `data` has rules of its own, which no schema can say.
  const valid = (someOf(schema, resolve) as fc.Arbitrary<Fields>).map(
    ({ data: _data, data_base64: _base64, datacontenttype: _type, ...attributes }) => attributes,
  );
  const codeOf = async (event: Fields): Promise<string | undefined> =>
    (await post(`${ingress.url}/events`, JSON.stringify(event), STRUCTURED)).body.code;

  it('agree on what is one', async () => {
    await fc.assert(
      fc.asyncProperty(valid, async (event) => {
        assert.ok(check(event), ajv.errorsText(check.errors));
        assert.notEqual(await codeOf(event), 'invalid_event', JSON.stringify(event));
      }),
      { numRuns: 200 },
    );
  });

  it('agree on what is none', async () => {
    const names = Object.keys((schema as { properties: object }).properties)
      .filter((name) => !name.startsWith('data'))
      .concat('myext', 'partitionkey');
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(
        valid,
        fc.constantFrom(...names),
        hostileJson,
        async (event, name, value) => {
          // Such a number becomes the text of its digits before anybody looks at it.
          fc.pre(typeof value !== 'number' || Math.abs(value) < 2 ** 53);
          const changed = { ...event, [name]: value };
          if (check(changed)) return;
          refused += 1;
          assert.equal(await codeOf(changed), 'invalid_event', JSON.stringify(changed));
        },
      ),
      { numRuns: 400 },
    );
    assert.ok(refused > 100);
  });
});
