import assert from 'node:assert/strict';
import fc from 'fast-check';
import { problemOf } from '../../src/connectors/operation-error.ts';
import { urlBelow } from '../../src/connectors/request-path.ts';

const BASE = 'https://api.example.com/v1/';

describe('a path below the base URL', () => {
  it('stays on the host and below the path of the base, or is refused as fatal', () => {
    const pieces = fc.constantFrom(
      ...['/', '//', '..', '.', '%2e', '%2E%2e', '%2f', '%5c', '\\', ':', '@', '?', '#', '&'],
      ...[
        'https:',
        'evil.com',
        'javascript:',
        '\t',
        '\n',
        ' ',
        '%',
        '%zz',
        'deals',
        'é',
        '\u{1f30a}',
      ],
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
        let url: URL;
        try {
          url = urlBelow(BASE, parts.join(''));
        } catch (error) {
          assert.equal(problemOf(error)?.errorClass, 'fatal');
          return;
        }
        assert.equal(url.origin, 'https://api.example.com');
        assert.ok(`${url.pathname}/`.startsWith('/v1/'), url.href);
        assert.equal(`${url.username}${url.password}`, '');
        assert.ok(!decodeURIComponent(url.pathname).split(/[\\/]/).includes('..'), url.href);
      }),
      { numRuns: 5_000 },
    );
  });

  const joined: readonly (readonly [base: string, path: string, url: string])[] = [
    [BASE, '/deals/17', 'https://api.example.com/v1/deals/17'],
    [BASE, 'deals/17', 'https://api.example.com/v1/deals/17'],
    [BASE, '/deals?stage=won&by=a:b', 'https://api.example.com/v1/deals?stage=won&by=a:b'],
    [BASE, '?all=1', 'https://api.example.com/v1?all=1'],
    [BASE, '', 'https://api.example.com/v1'],
    [BASE, '/groups/a%2Fb', 'https://api.example.com/v1/groups/a%2Fb'],
    [BASE, '/deals?next=https://x', 'https://api.example.com/v1/deals?next=https://x'],
    ['http://127.0.0.1:8080', '/deals', 'http://127.0.0.1:8080/deals'],
    ['http://[::1]:8080', '/deals', 'http://[::1]:8080/deals'],
  ];
  for (const [base, path, url] of joined) {
    it(`joins ${base} and ${JSON.stringify(path)}`, () => {
      assert.equal(urlBelow(base, path).href, url);
    });
  }

  const refused = [
    '//evil.com/x',
    'https://evil.com',
    'HTTP://evil.com',
    'file:///etc/passwd',
    '/../admin',
    'deals/../../admin',
    '/deals/%2e%2e/admin',
    '/deals/..%2fadmin',
    '/deals/..%5Cadmin',
    '/\\evil.com',
    '\\\\evil.com',
    '/deals/17#x',
    '/deals/1 7',
    '/deals/\r\nHost: evil',
    '/deals/100%',
  ];
  for (const path of refused) {
    it(`refuses ${JSON.stringify(path)}`, () => {
      assert.throws(() => urlBelow(BASE, path), /the path of the request .*nothing was sent/);
    });
  }
});
