/** The OpenAPI 3.1 document of a process, for its project's event types. */
import { createDocument } from 'zod-openapi';
import type { Contract, EventCatalogue } from '../model/contract.ts';
import { APPROVAL_OPERATIONS } from './approval-operations.ts';
import { INGRESS_OPERATIONS } from './ingress-operations.ts';
import { type Operation, operationObject } from './operation.ts';
import { CODEC_OPERATIONS, OPERATOR_OPERATIONS } from './operator-operations.ts';
import { Problem } from './problems.ts';

export type OpenApiDocument = ReturnType<typeof createDocument>;

interface Part {
  readonly tag: string;
  /** Where it is mounted. */
  readonly mount: string;
  readonly operations: readonly Operation[];
}
const PARTS: readonly Part[] = [
  { tag: 'Ingress', mount: '', operations: INGRESS_OPERATIONS },
  { tag: 'Operator', mount: '/api/v1', operations: OPERATOR_OPERATIONS },
  { tag: 'Approvals', mount: '/approvals', operations: APPROVAL_OPERATIONS },
];
const CODEC: Part = { tag: 'Codec', mount: '/codec', operations: CODEC_OPERATIONS };

export interface OpenApiOptions {
  readonly catalogue: EventCatalogue<Readonly<Record<string, Contract>>>;
  /** What the codec server decrypts with. @default there is no codec server */
  readonly decode?: unknown;
}

export function openApiDocument({ catalogue, decode }: OpenApiOptions): OpenApiDocument {
  const parts = decode === undefined ? PARTS : [...PARTS, CODEC];
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { tag, mount, operations } of parts) {
    for (const operation of operations) {
      const path = `${mount}${operation.path}`;
      paths[path] = { ...paths[path], [operation.method]: operationObject(tag, operation) };
    }
  }
  const document = createDocument(
    {
      openapi: '3.1.1',
      info: { title: 'Tidegate', version: '1', description: DESCRIPTION, license: LICENSE },
      servers: [{ url: '/' }],
      tags: parts.map(({ tag }) => ({ name: tag })),
      security: [{ bearer: [] }],
      components: {
        schemas: { Problem },
        securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      },
      paths,
    },
    {
      override: ({ jsonSchema, io }) => {
        // Answers get new fields; a client that refuses them would break with each release.
        if (io === 'output' && jsonSchema.additionalProperties === false) {
          delete jsonSchema.additionalProperties;
        }
      },
    },
  );
  return withEventTypes(document, catalogue);
}

/** The version of the interface, which is in its paths. */
const LICENSE = { name: 'MIT', identifier: 'MIT' };
const DESCRIPTION = `Events in, flows out. Addresses answer other methods with 405 and \`Allow\`, and HEAD where they answer GET. A request that is no HTTP is answered by its connection with 400, 408, 417 or 431 without a body. Errors are \`application/problem+json\` with a stable \`code\`.`;

/**
 * `/events/{type}` once for each event type, with its data: OpenAPI matches such an address before the
 * general one.
 */
function withEventTypes(
  document: OpenApiDocument,
  { contracts }: EventCatalogue<Readonly<Record<string, Contract>>>,
): OpenApiDocument {
  const general = document.paths?.['/events/{type}']?.post;
  if (general === undefined) throw new Error('the document has no POST /events/{type}');
  const shared = Object.entries(general.responses ?? {}).map(([status, response]) => ({
    status,
    name: `SendEvent${status}`,
    response,
  }));
  const responses = Object.fromEntries(
    shared.map(({ status, name }) => [status, { $ref: `#/components/responses/${name}` }]),
  );
  const parameters = general.parameters?.filter((each) => !('in' in each) || each.in !== 'path');
  const own = Object.values(contracts).map((contract) => [
    `/events/${encodeURIComponent(contract.type)}`,
    {
      post: {
        ...general,
        operationId: `sendEvent ${contract.type}`,
        summary: `Send a ${contract.type}.`,
        parameters,
        requestBody: dataOf(contract),
        responses,
      },
    },
  ]);
  return {
    ...document,
    paths: {
      ...document.paths,
      '/events/{type}': { post: { ...general, responses } },
      ...Object.fromEntries(own),
    },
    components: {
      ...document.components,
      responses: Object.fromEntries(shared.map(({ name, response }) => [name, response])),
    },
  };
}

function dataOf({ type, versions, example }: Contract) {
  const schemas = versions.map(({ version, schema }) =>
    // With a name of its own, its references stay within it.
    schema === undefined
      ? {}
      : { $id: `urn:tidegate:event:${encodeURIComponent(type)}:${version}`, ...schema },
  );
  return {
    required: true,
    description: 'Of any version that is taken; `ce-schemaversion` says which it is.',
    content: {
      'application/json': {
        schema: schemas.length === 1 ? schemas[0] : { anyOf: schemas },
        ...(example === undefined ? {} : { example }),
      },
    },
  };
}
