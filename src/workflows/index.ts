/**
 * `tidegate/flow`: everything a flow may import as a value. It is evaluated in Temporal's workflow
 * sandbox, once per cached workflow, so it stays small and free of schemas and Node.
 *
 * @module
 */
export { deprecatePatch } from '@temporalio/workflow';
export type { EventTypesOf } from '../model/contract.ts';
export type { Duration } from '../model/duration.ts';
export type { TidegateEvent } from '../model/event.ts';
export type { Flow } from '../model/flow-registry.ts';
export type { Emitted } from '../model/protocol.ts';
export type { Branch } from './branches.ts';
export { connector } from './connector.ts';
export type { EmitOptions } from './emission.ts';
export { type FailureSummary, isFailure } from './failure.ts';
export { type EventOf, type FlowDefinition, flowsFor } from './flow.ts';
export type { Inbox } from './inbox.ts';
export type { DebounceEdge } from './leading-edge.ts';
export { patched } from './patched.ts';
export {
  type AggregateCount,
  type AggregateEvery,
  type AggregateGap,
  type AggregateOptions,
  type AggregateUntil,
  aggregate,
} from './primitives/aggregate.ts';
export {
  type ApprovalClosedBy,
  type ApprovalNotice,
  type ApprovalOptions,
  type ApprovalResult,
  approval,
} from './primitives/approval.ts';
export { type DebounceOptions, debounce } from './primitives/debounce.ts';
export { type Emit, emitFor } from './primitives/emit.ts';
export {
  type FanOut,
  type FanOutOptions,
  fanOut,
} from './primitives/fan-out.ts';
export { type ParkDecision, type ParkNotice, type ParkOptions, park } from './primitives/park.ts';
export {
  type QuorumClosedBy,
  type QuorumOptions,
  type QuorumResult,
  quorum,
} from './primitives/quorum.ts';
export { type SagaStep, saga } from './primitives/saga.ts';
export { type WaitForOptions, type WaitForResult, waitFor } from './primitives/wait-for.ts';
export { type EventsPage, type ReadEventsOptions, readEvents } from './read-events.ts';
export type { CountedVote, Vote } from './tally.ts';
export type { ClosedBy, Window, WindowOptions, WindowSoFar } from './window.ts';
export type { Change, CountedChange, Group, Scalar } from './window-summary.ts';
