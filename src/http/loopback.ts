import type { RequestHandler } from 'express';
import { TidegateError } from '../model/error.ts';

/** Whether a host name or address can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[|\]$/g, '');
  return (
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    name === '::1' ||
    /^127(?:\.\d{1,3}){3}$/.test(name)
  );
}

/**
 * Refuses requests whose `Host` is not this machine when the server listens on this machine only. A
 * page on the web can point its own name at 127.0.0.1 (DNS rebinding) and would then be of the same
 * origin as this server; its name in `Host` is what gives it away.
 *
 * @param publicHost a name that is ours too: that of a proxy on this machine.
 */
export function loopbackHostsOnly(listensOn: string, publicHost?: string): RequestHandler {
  if (!isLoopback(listensOn)) return (_request, _response, next) => next();
  return (request, _response, next) => {
    const name = (request.headers.host ?? '').replace(/:\d+$/, '');
    if (isLoopback(name) || name.toLowerCase() === publicHost) return next();
    next(
      new TidegateError(
        'host_refused',
        'This server listens on the loopback interface and answers to that name only: use http://127.0.0.1, or set TIDEGATE_PUBLIC_URL to the address that people use.',
      ),
    );
  };
}
