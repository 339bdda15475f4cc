import { z } from 'zod';
import { defineConnector as def } from '../../src/connectors/define-connector.ts';
const fakes = { a: (i: string) => i, };
const s = (i: string) => Promise.resolve(i);
export const w1 = def({ name: 'x', config: z.object({token: z.string() }), operations: {
  a: { effect: 'read', timeout: '1s', run: (i: string, call) => s(i + call.config.token) } } });
export const w2 = def({ name: 'x', config: z.object({token: z.string() }), operations: {
  a: { effect: 'read', timeout: '1s', run: async (i: string, call) => i + call.config.token } }, fake: fakes });
export const w3 = def({ name: 'x', config: z.object({token: z.string() }), operations: {
  a: { effect: 'read', timeout: '1s', run: async (i: string, call) => i + call.config.token } }, fake: { a: (i) => i }});
export const w4 = def({ name: 'x', config: z.object({token: z.string() }), operations: {
  a: { effect: 'read', timeout: '1s', run: async (i: string, call) => i + call.config.token } }, fake: { a: (i: string) => i }});
export const w5 = def({ name: 'x', config: z.object({token: z.string() }), operations: {
  a: { effect: 'read', timeout: '1s', run: async (i: string, call) => s(i + call.config.token) } }, fake: { a: (i: string) => i }});
export const w6 = def({ name: 'x', config: z.object({token: z.string() }), operations: {
  a: { effect: 'read', timeout: '1s', run: (i: string, call): Promise<string> => s(i + call.config.token) } }, fake: { a: (i: string) => i }});
