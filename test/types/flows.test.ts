import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('../..', import.meta.url));
const PREAMBLE = `
import { debounce, flowsFor, connector } from 'tidegate/flow';
import type { events } from '../../examples/acme/events';
import type { crmConnector } from '../../examples/acme/connectors';
const flow = flowsFor<typeof events>();
const crm = connector<typeof crmConnector>('crm');
void [debounce, flow, crm];
`;

const path = `${root}test/types/virtual.ts`;
const { options } = ts.parseJsonConfigFileContent(
  ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile).config,
  ts.sys,
  root,
);
/** Parsed once for all the programs of this file. */
const parsed = new Map<string, ts.SourceFile | undefined>();
let previous: ts.Program | undefined;

/** What the compiler says of some lines in a flow's file. */
function diagnosticsOf(lines: string): readonly string[] {
  const text = PREAMBLE + lines;
  const host = ts.createCompilerHost(options);
  const parse = host.getSourceFile.bind(host);
  host.fileExists = (name) => name === path || ts.sys.fileExists(name);
  host.getSourceFile = (name, target) => {
    if (name === path) return ts.createSourceFile(name, text, target);
    if (!parsed.has(name)) parsed.set(name, parse(name, target));
    return parsed.get(name);
  };
  const program = ts.createProgram([path], options, host, previous);
  previous = program;
  return ts
    .getPreEmitDiagnostics(program, program.getSourceFile(path))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

describe('the types of a flow', function () {
  this.timeout(60_000);

  it('accept a right one, with its data typed and no annotation', () => {
    assert.deepEqual(
      diagnosticsOf(`
        export const digest = flow({
          on: 'deal.stage_changed',
          where: (event) => event.data.amount >= 1_000,
          key: (event) => event.data.dealId,
          async run(first, inbox) {
            const window = await debounce(inbox, { quiet: '30s', atMost: '5m', urgent: (e) => e.data.amount > 9 });
            const deal = await crm.getDeal({ id: first.data.dealId });
            return deal.stage.length + window.last.data.amount;
          },
        });
        export const several = flow({
          on: ['deal.viewed', 'user.created'],
          run: async (event) => (event.type === 'deal.viewed' ? event.data.viewer : event.data.email),
        });`),
      [],
    );
  });

  const refused = (lines: string, message: RegExp): void => {
    const messages = diagnosticsOf(lines);
    assert.ok(
      messages.some((text) => message.test(text)),
      `expected ${message}, got ${JSON.stringify(messages, null, 2)}`,
    );
  };

  it('refuse an event type that is not in the catalogue, naming it', () => {
    refused(
      `flow({ on: 'deal.vanished', run: async () => {} });`,
      /"deal\.vanished"' is not assignable/,
    );
  });

  it('refuse a misspelt option of the head', () => {
    refused(
      `flow({ on: 'deal.viewed', wehre: () => true, run: async () => {} });`,
      /'wehre' does not exist/,
    );
  });

  it('refuse a misspelt field of the data', () => {
    refused(
      `flow({ on: 'deal.viewed', key: (event) => event.data.dealID, run: async () => {} });`,
      /'dealID' does not exist .* Did you mean 'dealId'/,
    );
  });

  it('refuse an unknown or missing option of a primitive', () => {
    refused(
      `flow({ on: 'deal.viewed', run: async (_, inbox) => { await debounce(inbox, { quiet: '1s', atMost: '1m', max: 3 }); } });`,
      /'max' does not exist/,
    );
    refused(
      `flow({ on: 'deal.viewed', run: async (_, inbox) => { await debounce(inbox, { quiet: '1s' }); } });`,
      /'atMost' is missing/,
    );
  });

  it('refuse a duration without a unit that exists', () => {
    refused(
      `flow({ on: 'deal.viewed', run: async (_, inbox) => { await debounce(inbox, { quiet: '1 sec', atMost: '1m' }); } });`,
      /"1 sec"' is not assignable/,
    );
  });

  it('refuse an operation that the connector has not, and a wrong input', () => {
    refused(
      `flow({ on: 'deal.viewed', run: async () => { await crm.dropDeal({ id: '1' }); } });`,
      /'dropDeal' does not exist/,
    );
    refused(
      `flow({ on: 'deal.viewed', run: async () => { await crm.getDeal({ id: 1 }); } });`,
      /'number' is not assignable to type 'string'/,
    );
  });
});
