import assert from 'node:assert/strict';
import fc from 'fast-check';
import { linkWriter, withoutLinks } from '../../src/activities/approval-links.ts';
import { readLink } from '../../src/approvals/token.ts';
import { problemOf } from '../../src/connectors/operation-error.ts';
import {
  type ApprovalLink,
  approvalLinkReference,
  parseApprovalLinkReference,
} from '../../src/model/approval-link.ts';
import { TidegateError } from '../../src/model/error.ts';
import type { Json } from '../../src/model/event.ts';
import type { Question } from '../../src/model/protocol.ts';
import { makeRunId } from '../../src/model/run.ts';

const SECRETS = ['a-secret-of-thirty-two-bytes-or-more'] as const;
const PUBLIC_URL = 'https://flows.acme.example';
const RUN = makeRunId({ flow: 'access', tenant: 'acme', key: 'ключ/1;' });
const PARK = '1/approval#1/1';
const NONCE = '9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d';
const ANA: ApprovalLink = {
  run: RUN,
  parkId: PARK,
  approver: 'Ana (ops) <ana@acme.example>',
  nonce: NONCE,
};
const QUESTION: Question = {
  kind: 'approval',
  title: 'Access',
  approvers: [ANA.approver],
  need: 1,
  dueAt: Date.parse('2099-01-01'),
  linkNonce: NONCE,
};

const journal = (question: Question | undefined = QUESTION) => ({
  findQuestion: async (run: string, parkId: string) =>
    run === RUN && parkId === PARK ? question : undefined,
});
const write = (input: Json, question?: Question) =>
  linkWriter(journal(question), { publicUrl: PUBLIC_URL, secrets: SECRETS })(input);
const LINK = new RegExp(`${PUBLIC_URL}/approvals/([\\w.-]+)`);

describe('a reference to an approval link', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1 });
  const link = fc
    .record({ run: text, parkId: text, approver: text, nonce: text }, { noNullPrototype: true })
    .map((fields) => fields as ApprovalLink);

  it('says what it was made of, whatever that is', () => {
    fc.assert(
      fc.property(link, (of) => {
        assert.deepEqual(parseApprovalLinkReference(approvalLinkReference(of)), of);
      }),
    );
  });

  it('is found whole between any two texts', async () => {
    const reference = approvalLinkReference(ANA);
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.string(), async (before, after) => {
        const written = await write(`${before}${reference}${after}`);
        assert.ok(typeof written === 'string');
        assert.ok(written.startsWith(before) && written.endsWith(after));
        assert.ok(!written.includes(reference));
        const token = LINK.exec(written)?.[1] ?? '';
        assert.ok(token.length > 100);
      }),
    );
  });

  it('survives JSON, a Slack link and an HTML attribute', async () => {
    const reference = approvalLinkReference(ANA);
    for (const [before, after] of [
      ['{"url":"', '"}'],
      ['<', '|Approve>'],
      ["<a href='", "'>"],
      ['(', ').'],
    ]) {
      const written = String(await write(`${before}${reference}${after}`));
      const [token] = written.slice(before?.length).split(after ?? '');
      const read = await readLink((token ?? '').split('/').at(-1) ?? '', SECRETS, new Date());
      assert.equal(read.status, 'valid', written);
    }
  });
});

describe('the input of an operation', () => {
  it('gets a signed link in place of each reference, wherever it stands', async () => {
    const reference = approvalLinkReference(ANA);
    const input = { text: `ask ${reference}`, blocks: [{ url: reference }, 7, null], ok: true };
    const written = (await write(input)) as typeof input;
    const token = LINK.exec(written.text)?.[1] ?? '';
    assert.deepEqual(await readLink(token, SECRETS, new Date()), {
      status: 'valid',
      claims: { run: RUN, parkId: PARK, approver: ANA.approver },
    });
    assert.deepEqual(written, {
      text: `ask ${PUBLIC_URL}/approvals/${token}`,
      blocks: [{ url: `${PUBLIC_URL}/approvals/${token}` }, 7, null],
      ok: true,
    });
    assert.deepEqual(await write(input), written, 'an attempt that is repeated sends the same');
  });

  it('stays what it is where the reference is somebody’s text', async () => {
    const forged: readonly Partial<ApprovalLink>[] = [
      { nonce: 'guessed' },
      { nonce: 'undefined' },
      { approver: 'eve@acme.example' },
      { parkId: '2/approval#1/1' },
      { run: makeRunId({ flow: 'access', tenant: 'acme', key: 'NUL?' }) },
    ];
    for (const part of forged) {
      const input = { text: `please: ${approvalLinkReference({ ...ANA, ...part })}` };
      assert.equal(await write(input), input, JSON.stringify(part));
    }
    for (const text of ['tidegate-link:', 'tidegate-link:a/b/c;', 'tidegate-link:%/%/%/%;']) {
      assert.equal(await write(text), text);
    }
    const { linkNonce: _, ...without } = QUESTION;
    const input = approvalLinkReference({ ...ANA, nonce: 'undefined' });
    assert.equal(await write(input, without), input);
  });

  it('is not sent when this worker cannot make links, and the failure says what to set', async () => {
    const input = approvalLinkReference(ANA);
    for (const [options, variable] of [
      [{ publicUrl: PUBLIC_URL, secrets: [] }, 'TIDEGATE_LINK_SECRET'],
      [{ secrets: SECRETS }, 'TIDEGATE_PUBLIC_URL'],
    ] as const) {
      await assert.rejects(linkWriter(journal(), options)(input), (error: Error) => {
        assert.equal(problemOf(error)?.errorClass, 'persistent');
        assert.equal(problemOf(error)?.mayHaveHappened, false);
        assert.ok(error.message.includes(variable), error.message);
        return true;
      });
      const forged = approvalLinkReference({ ...ANA, nonce: 'guessed' });
      assert.equal(await linkWriter(journal(), options)(forged), forged, 'data stops nothing');
    }
  });

  it('is sent later when the journal is away', async () => {
    const away = {
      findQuestion: async () => {
        throw new TidegateError('journal_unavailable', 'no answer');
      },
    };
    const writeAway = linkWriter(away, { publicUrl: PUBLIC_URL, secrets: SECRETS });
    await assert.rejects(
      writeAway(approvalLinkReference(ANA)),
      (error) => problemOf(error)?.errorClass === 'transient',
    );
    assert.equal(await writeAway('no reference, no question'), 'no reference, no question');
  });
});

describe('the result of an operation', () => {
  it('has no signature in it where the outside system repeats what it was sent', async () => {
    const text = String(await write(`see ${approvalLinkReference(ANA)}`));
    const token = LINK.exec(text)?.[1] ?? '';
    const result = { ok: true, message: { text, url: `/approvals/${token}` } };
    assert.deepEqual(withoutLinks(result), {
      ok: true,
      message: { text: `see ${PUBLIC_URL}/approvals/[signed]`, url: '/approvals/[signed]' },
    });
  });
});
