/** What senders of a deprecated version are told with their answer: RFC 9745 and RFC 8594. */
import type { Contract, EventCatalogue, VersionDeprecation } from '../model/contract.ts';
import { versionOf } from './event-version.ts';
import type { Intake } from './exchange.ts';

type Catalogue = EventCatalogue<Readonly<Record<string, Contract>>>;

interface DeprecatedEvent extends VersionDeprecation {
  readonly type: string;
  readonly version: number;
  readonly current: number;
}

/** Links of one answer; the warnings of the results name every type and version. */
const LINKS_MAX = 5;

/** For each event of a request, in order: what its version's deprecation is, if it is deprecated. */
export const deprecationsOf = (
  { candidates }: Intake,
  { contracts }: Catalogue,
): readonly (DeprecatedEvent | undefined)[] =>
  candidates.map((candidate) => {
    if (candidate.kind !== 'candidate') return undefined;
    const { type } = candidate.attributes;
    const contract =
      typeof type === 'string' && Object.hasOwn(contracts, type) ? contracts[type] : undefined;
    if (contract === undefined) return undefined;
    const version = versionOf(candidate, contract);
    const known = contract.versions.find((each) => each.version === version);
    if (known?.deprecation === undefined) return undefined;
    return { ...known.deprecation, type: contract.type, version, current: contract.version };
  });

/**
 * The headers of the whole answer: the earliest dates and each link once. None without a deprecated
 * version in the request.
 */
export function deprecationHeaders(
  deprecations: readonly (VersionDeprecation | undefined)[],
): Readonly<Record<string, string>> {
  const found = deprecations.filter((each) => each !== undefined);
  if (found.length === 0) return {};
  const since = Math.min(...found.map((each) => Date.parse(each.since)));
  const sunset = Math.min(...found.map((each) => Date.parse(each.sunset)));
  const links = [...new Set(found.flatMap(({ link }) => (link === undefined ? [] : [link])))];
  return {
    Deprecation: `@${Math.floor(since / 1_000)}`,
    Sunset: new Date(sunset).toUTCString(),
    ...(links.length === 0
      ? {}
      : {
          Link: links
            .slice(0, LINKS_MAX)
            .map((link) => `<${link}>; rel="deprecation"`)
            .join(', '),
        }),
  };
}

/** For the result of one event. */
export const deprecationWarning = ({
  type,
  version,
  current,
  since,
  sunset,
  refuseAfterSunset,
}: DeprecatedEvent): string => {
  const end = refuseAfterSunset ? 'is refused from' : 'may be refused from';
  const advice = version < current ? `: send version ${current}` : '';
  return `${type} version ${version} is deprecated since ${since} and ${end} ${sunset}${advice}`;
};
