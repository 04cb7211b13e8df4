import { describe, expect, test } from 'vitest';
import { checkedMirror, chooseMirror, parseDeb822Sources, parseOneLineSources } from './apt-sources';

describe('one-line sources', () => {
  test('are parsed to URI, suite and components, without comments and source packages', () => {
    const text = [
      '# deb http://old.example/debian bookworm main',
      'deb http://mirror.example/debian bookworm main contrib # ours',
      'deb-src http://mirror.example/debian bookworm main',
      'deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] https://mirror.example/debian bookworm-updates main',
    ].join('\n');
    expect(parseOneLineSources(text)).toEqual([
      { uri: 'http://mirror.example/debian', suite: 'bookworm', components: ['main', 'contrib'] },
      {
        uri: 'https://mirror.example/debian',
        suite: 'bookworm-updates',
        components: ['main'],
        signedBy: '/usr/share/keyrings/a.gpg',
      },
    ]);
  });
});

describe('deb822 sources', () => {
  test('are parsed to one source for each URI and suite of a stanza, which may contain comments', () => {
    const text = [
      'Types: deb deb-src',
      '# a snapshot',
      'URIs: http://mirror.example/debian',
      'Suites: trixie trixie-updates',
      'Components: main',
      'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg',
      '',
      'Types: deb',
      'URIs: http://security.example/debian-security',
      'Suites: trixie-security',
      'Components: main',
    ].join('\n');
    const sources = parseDeb822Sources(text);
    expect(sources.map(({ uri, suite }) => `${uri} ${suite}`)).toEqual([
      'http://mirror.example/debian trixie',
      'http://mirror.example/debian trixie-updates',
      'http://security.example/debian-security trixie-security',
    ]);
    expect(sources[0]?.signedBy).toBe('/usr/share/keyrings/debian-archive-keyring.gpg');
  });

  test('leave out stanzas that are disabled or only about source packages', () => {
    const off = 'Types: deb\nEnabled: no\nURIs: http://off.example/\nSuites: trixie\nComponents: main';
    const src = 'Types: deb-src\nURIs: http://src.example/\nSuites: trixie\nComponents: main';
    expect(parseDeb822Sources(`${off}\n\n${src}\n`)).toEqual([]);
  });

  test('may have a key inside the stanza', () => {
    const text =
      'Types: deb\nURIs: http://mirror.example/\nSuites: trixie\nComponents: main\nSigned-By:\n -----BEGIN\n .\n key\n';
    expect(parseDeb822Sources(text)[0]?.suite).toBe('trixie');
  });
});

describe('the mirror', () => {
  const debian = { uri: 'http://mirror.example/debian', components: ['main'] };

  test('is the archive that also has the updates of the suite, whatever the order', () => {
    const sources = [
      { uri: 'http://other.example/apt', suite: 'bookworm', components: ['main'] },
      { ...debian, suite: 'bookworm' },
      { ...debian, suite: 'bookworm-updates' },
    ];
    expect(chooseMirror(sources, 'bookworm')).toBe(debian.uri);
  });

  test('is the only archive with the suite in main if there are no updates', () => {
    expect(chooseMirror([{ ...debian, suite: 'bookworm' }], 'bookworm')).toBe(debian.uri);
  });

  test('that cannot be found causes an error that shows the sources and names the variable', () => {
    const sources = [{ uri: 'http://other.example/apt', suite: 'stable', components: ['extra'] }];
    expect(() => chooseMirror(sources, 'bookworm')).toThrow(
      /bookworm main \(seen: http:\/\/other\.example\/apt stable\)\nWhat to do: set GHOSTCARD_MIRROR/,
    );
    expect(() => chooseMirror([], 'bookworm')).toThrow('there are no apt sources');
  });
});

describe('a mirror set by the user', () => {
  test.each([
    ['https://host.example/debian/', 'https://host.example/debian'],
    ['file:///srv/debian', 'file:///srv/debian'],
    ['mirror+https://host.example/list', 'mirror+https://host.example/list'],
  ])('can be %s', (address, used) => expect(checkedMirror(address)).toBe(used));

  test.each(['foo', 'host.example/debian', 'https://', 'https://host.example/a b', '/srv/debian'])(
    'is refused if it is %s, and the error says what to write instead',
    (address) => {
      expect(() => checkedMirror(address)).toThrow(
        `GHOSTCARD_MIRROR is ${JSON.stringify(address)}\nWhat to do: set it to the address of a Debian mirror`,
      );
    },
  );
});
