/** Whether a request is let in, before it has cost much: limits and shedding as the routes apply them. */
import { isIPv6 } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Request, RequestHandler } from 'express';
import { callerOf } from '../access/authenticate.ts';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import type { Intake } from './exchange.ts';
import type { IngressObserver, LimitedBy } from './observer.ts';
import { type Bucket, bucketOf, createBuckets, type RateLimit } from './rate-limits.ts';
import type { Priority, ShedCause } from './shedding.ts';
import type { BoundSource } from './source.ts';

export interface AdmissionOptions {
  readonly limits?: {
    /** Verified deliveries of a source that names no limit of its own. @default none */
    readonly perSource?: RateLimit;
    /** Events of one tenant. @default none */
    readonly perTenant?: RateLimit;
    /** Requests of one caller of `/events`. @default none */
    readonly perCaller?: RateLimit;
    /** Deliveries to one source whose verification fails, from one address. @default none */
    readonly refusedPerAddress?: RateLimit;
  };
  /** Why a request of this priority is refused now. @default none is */
  readonly sheds?: (priority: Priority) => ShedCause | undefined;
  readonly observer?: Pick<IngressObserver, 'shed' | 'limited'>;
  /** Milliseconds of a clock that does not jump. @default the process's */
  readonly clock?: () => number;
}

export interface Admission {
  /** For `/events`, before anybody is asked who they are: sheds. */
  readonly beforeEvents: RequestHandler;
  /** For `/events`, when the caller is known: his limit. */
  readonly ofCaller: RequestHandler;
  /**
   * For a delivery, before its body is read.
   *
   * @throws TidegateError `backlog_full` or `rate_limited`
   */
  delivery(source: BoundSource, request: Request): AdmittedDelivery;
  /**
   * For the events of a request that may be from who it says.
   *
   * @throws TidegateError `rate_limited` for all of them when one tenant is over its limit: nothing is kept.
   */
  tenants(intake: Intake): void;
}

export interface AdmittedDelivery {
  /**
   * Waits for its verification. What is verified counts against the source's limit, and only that: what is
   * not uses up nobody's budget, and counts against the address that it came from.
   *
   * @throws TidegateError `rate_limited`, or what the verification throws
   */
  verifying<Verified>(verification: Promise<Verified>): Promise<Verified>;
}

/** For the lateness of the event loop: it has changed by then. */
const RETRY_DELAY_SECONDS = 2;
/** For a backlog: it changes slowly. */
const RETRY_BACKLOG_SECONDS = 30;

export function createAdmission(options: AdmissionOptions): Admission {
  const { limits = {}, observer, sheds = () => undefined } = options;
  const clock = options.clock ?? (() => performance.now());
  const bucket = (limit: RateLimit | undefined, name: string): Bucket | undefined =>
    limit && bucketOf(limit, name);
  const perSource = bucket(limits.perSource, 'the limit per source');
  const perTenant = bucket(limits.perTenant, 'the limit per tenant');
  const perCaller = bucket(limits.perCaller, 'the limit per caller');
  const perAddress = bucket(limits.refusedPerAddress, 'the limit of refused deliveries');
  const [sources, tenants, callers, addresses] = [
    createBuckets(),
    createBuckets(),
    createBuckets(),
    createBuckets(),
  ];

  function shed(priority: Priority): void {
    const cause = sheds(priority);
    if (cause === undefined) return;
    observer?.shed(priority, cause);
    throw overloaded(cause);
  }
  function refuse(by: LimitedBy, waitMs: number | undefined): void {
    if (waitMs === undefined) return;
    observer?.limited(by);
    throw rateLimited(by, waitMs);
  }

  return {
    beforeEvents(request, _response, next) {
      shed(priorityOf(request.get('priority')));
      next();
    },
    ofCaller(request, _response, next) {
      if (perCaller !== undefined) {
        const { kind, tenant, id } = callerOf(request);
        // Two tenants may have keys of one name.
        refuse('caller', callers.take(`${kind}:${tenant ?? ''}:${id}`, perCaller, 1, clock()));
      }
      next();
    },
    delivery(source, request) {
      shed(source.priority ?? 'normal');
      const { name, limit } = source;
      const ofSource = limit === undefined ? perSource : bucketOf(limit, `the limit of ${name}`);
      const address = perAddress && senderAddress(request);
      const key = `${name} ${address}`;
      if (address !== undefined && perAddress !== undefined) {
        refuse('address', addresses.peek(key, perAddress, 1, clock()));
      }
      if (ofSource !== undefined) refuse('source', sources.peek(name, ofSource, 1, clock()));
      return {
        async verifying(verification) {
          const verified = await verification.catch((error: unknown) => {
            if (address !== undefined && perAddress !== undefined && isUnverified(error)) {
              addresses.take(key, perAddress, 1, clock());
            }
            throw error;
          });
          if (ofSource !== undefined) refuse('source', sources.take(name, ofSource, 1, clock()));
          return verified;
        },
      };
    },
    tenants(intake) {
      if (perTenant === undefined) return;
      const now = clock();
      const counts = [...eventsByTenant(intake)];
      const waits = counts.flatMap(
        ([tenant, count]) => tenants.peek(tenant, perTenant, count, now) ?? [],
      );
      refuse('tenant', waits.length === 0 ? undefined : Math.max(...waits));
      for (const [tenant, count] of counts) tenants.take(tenant, perTenant, count, now);
    },
  };
}

/** Not when a key or a secret is missing here: that is no fault of the sender. */
const isUnverified = (error: unknown): boolean =>
  TidegateError.is(error, 'signature_missing') || TidegateError.is(error, 'signature_invalid');

/**
 * What the header `Priority` (RFC 9218) makes of a request: 5 to 7 is background work. Nobody can raise his
 * own priority.
 */
function priorityOf(header: string | undefined): Priority {
  return /(?:^|[,\s])u=[5-7](?:$|[,;\s])/.test(header ?? '') ? 'low' : 'normal';
}

/**
 * The address of a sender, an IPv6 network as one; undefined where it is that of a proxy, which stands for
 * everybody: a machine of our own network that nobody has said to trust.
 */
function senderAddress({ ip, socket }: Request): string | undefined {
  const address = ip ?? socket.remoteAddress ?? '';
  const plain = address.replace(/^::ffff:/, '');
  if (plain === '' || OUR_NETWORK.test(plain)) return undefined;
  return isIPv6(plain) ? `${expandIpv6(plain).slice(0, 4).join(':')}::/64` : plain;
}

const OUR_NETWORK =
  /^(?:127\.|10\.|192\.168\.|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.|::1$|f[cd]|fe80:)/i;

/** The eight groups of an IPv6 address, as far as they are hex. */
function expandIpv6(address: string): readonly string[] {
  const [head = '', tail] = address.toLowerCase().split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  return [...before, ...Array(Math.max(0, 8 - before.length - after.length)).fill('0'), ...after];
}

/** An attribute that is no tenant's id is refused later, and counts for the default tenant here. */
function eventsByTenant({ candidates }: Intake): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const candidate of candidates) {
    const tenant = candidate.kind === 'candidate' ? candidate.attributes.tenantid : undefined;
    const name =
      typeof tenant === 'string' && tenant.length <= LIMITS.tenantCharactersMax
        ? tenant
        : 'default';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

const LIMIT_OF: Readonly<Record<LimitedBy, string>> = {
  source: 'this source sends more than its limit',
  tenant: 'more events came for a tenant than its limit allows',
  caller: 'this caller sends more requests than its limit allows',
  address: 'too many deliveries from this address could not be verified',
};

const rateLimited = (by: LimitedBy, waitMs: number): TidegateError =>
  new TidegateError(
    'rate_limited',
    `Nothing of this request was kept, because ${LIMIT_OF[by]}: send it again after Retry-After.`,
    { details: { retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1_000)) } },
  );

const overloaded = (cause: ShedCause): TidegateError =>
  new TidegateError(
    'backlog_full',
    cause === 'delay'
      ? 'There is more to do now than can be answered in time. Nothing of this request was kept: send it again after Retry-After.'
      : 'Too many events wait to be sent on. Nothing of this request was kept: send it again after Retry-After.',
    {
      details: {
        retryAfterSeconds: cause === 'delay' ? RETRY_DELAY_SECONDS : RETRY_BACKLOG_SECONDS,
      },
    },
  );
