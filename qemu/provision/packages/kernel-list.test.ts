import { describe, expect, test } from 'vitest';
import { compareVersions, packagesOf, parseKernelOffers } from './kernel-list';

const stanza = (name: string, version: string, arch: string, sizeBytes = 1): string =>
  `Package: ${name}\nSource: linux\nVersion: ${version}\nInstalled-Size: 7\nArchitecture: ${arch}\nSize: ${sizeBytes}\nSHA256: 0`;

/** The packages of one kernel of Debian's. */
const kernel = (abi: string, ending: string, version: string): string[] => [
  stanza(`linux-headers-${abi}-${ending}`, version, ending.endsWith('arm64') ? 'arm64' : 'amd64', 100),
  stanza(`linux-image-${abi}-${ending}`, version, ending.endsWith('arm64') ? 'arm64' : 'amd64', 20_000),
  stanza(`linux-source-${/^\d+\.\d+/.exec(abi)![0]}`, version, 'all', 3_000_000),
];

const offersOf = (...stanzas: string[]) => parseKernelOffers(`${stanzas.join('\n\n')}\n`);

describe('the kernels in a package list', () => {
  test('are those that can be built for, with the series that selects them, and the size of their packages', () => {
    const [own, newer, ...others] = offersOf(
      ...kernel('6.12.95+deb12', 'cloud-arm64', '6.12.95-1~bpo12+1'),
      ...kernel('6.1.0-50', 'amd64', '6.1.176-1'),
      stanza('linux-headers-6.1.0-50-common', '6.1.176-1', 'all'),
    );
    expect(own).toEqual({
      ...{ series: '6.1', version: '6.1.0-50', flavour: 'generic', arch: 'amd64', packageVersion: '6.1.176-1' },
      downloadBytes: 3_020_100,
    });
    expect(newer).toMatchObject({ series: '6.12', version: '6.12.95+deb12', flavour: 'cloud', arch: 'arm64' });
    expect(others).toEqual([]);
  });

  test('leave out one without headers, image or source of the same version, and flavours that guests do not have', () => {
    const [headers = '', image = '', source = ''] = kernel('7.3.4+deb13', 'amd64', '7.3.4-1');
    const olderSource = stanza('linux-source-7.3', '7.3.1-1', 'all');
    for (const some of [
      [image, source],
      [headers, source],
      [headers, image],
      [headers, image, olderSource],
    ]) {
      expect(offersOf(...some)).toEqual([]);
    }
    expect(offersOf(...kernel('7.3.4+deb13', 'rt-amd64', '7.3.4-1'))).toEqual([]);
    expect(offersOf()).toEqual([]);
  });

  test('are the newest of each series, whose parts may be in several packages', () => {
    const offers = offersOf(
      ...kernel('6.12.107+deb13', 'amd64', '6.12.107-1'),
      ...kernel('6.12.95+deb13', 'amd64', '6.12.95-1'),
      stanza('linux-modules-6.12.107+deb13-amd64', '6.12.107-1', 'amd64', 700_000),
    );
    expect(offers).toMatchObject([{ version: '6.12.107+deb13', downloadBytes: 3_720_100 }]);
    expect(packagesOf(offers[0]!)).toEqual([
      'linux-image-6.12.107+deb13-amd64:amd64=6.12.107-1',
      'linux-headers-6.12.107+deb13-amd64:amd64=6.12.107-1',
      'linux-source-6.12=6.12.107-1',
    ]);
  });
});

test('releases are compared by their numbers', () => {
  expect(['6.12.95+deb12', '6.1.0-57', '7.3.4', '6.1.0-9'].sort(compareVersions)).toEqual([
    ...['6.1.0-9', '6.1.0-57', '6.12.95+deb12', '7.3.4'],
  ]);
  expect(compareVersions('6.1', '6.1.1')).toBeLessThan(0);
});
