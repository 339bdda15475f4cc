import assert from 'node:assert/strict';
import { defineEvents } from 'tidegate/contracts';
import type { Contract, ContractVerdict } from '../../src/model/contract.ts';
import { TidegateError } from '../../src/model/error.ts';

/** What a definition makes, whatever the compiler would say of it. */
export const define = (definitions: unknown): Readonly<Record<string, Contract>> =>
  defineEvents(definitions as Parameters<typeof defineEvents>[0]).contracts;

/** The one contract of a definition, whatever the compiler would say of it. */
export function contractOf(definition: unknown): Contract {
  const contract = define({ 'order.placed': definition })['order.placed'];
  assert.ok(contract);
  return contract;
}

export function problemsOf(verdict: ContractVerdict<unknown>) {
  assert.equal(verdict.ok, false);
  return verdict.ok ? [] : verdict.problems;
}

export function refusal(definitions: unknown): string {
  try {
    define(definitions);
  } catch (error) {
    assert.ok(TidegateError.is(error, 'contract_invalid'), String(error));
    return error.message;
  }
  return assert.fail('the definitions were accepted');
}
