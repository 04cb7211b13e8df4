import { describe, expect, test } from 'vitest';
import { aptConfiguration, parseDownloadStatus, parsePrintedUris, statusFile, versionsOf } from './apt-root';

const options = {
  folder: '/cache/apt/x',
  mirror: 'http://mirror.example',
  suites: ['trixie'],
  architectures: ['amd64'],
};

describe('the configuration of an apt root', () => {
  const text = aptConfiguration(options);

  test('keeps everything that apt writes in its own folder', () => {
    for (const setting of ['Dir::State', 'Dir::State::status', 'Dir::Cache', 'Dir::Log', 'Dir::Etc::sourcelist']) {
      expect(text).toMatch(new RegExp(`^${setting} "/cache/apt/x[/"]`, 'm'));
    }
  });

  test("ignores the host's sources, preferences, keys and hooks", () => {
    for (const name of ['sourceparts', 'preferences', 'preferencesparts', 'trusted', 'trustedparts']) {
      expect(text).toContain(`Dir::Etc::${name} "/dev/null";`);
    }
    expect(text).toContain('#clear APT::Update::Post-Invoke-Success;');
    expect(text).toContain('#clear DPkg::Post-Invoke;');
  });

  test('never disables signature checks', () => {
    expect(text).not.toMatch(/allow-?unauthenticated|allow-?insecure|trusted=yes/i);
  });

  test('prefers the target suite if there is one', () => {
    expect(aptConfiguration({ ...options, targetSuite: 'trixie-backports' })).toContain(
      'APT::Default-Release "trixie-backports";',
    );
  });
});

test('the status file has one installed package for what the host provides, or none if that is nothing', () => {
  expect(statusFile(['libc6 (= 999)', 'kmod'])).toMatch(
    /^Status: install ok installed$[^]*^Provides: libc6 \(= 999\), kmod$/m,
  );
  expect(statusFile([])).toBe('');
});

test('files and sizes are parsed from the URIs that apt prints', () => {
  const text = [
    'NOTE: something else',
    `'http://mirror.example/pool/q/qemu_11.1.deb' qemu_1%3a11.1_amd64.deb 10377056 SHA256:${'0a'.repeat(32)}`,
    "'http://mirror.example/pool/s/seabios.deb' seabios_1.17_all.deb 160548 MD5Sum:00",
  ].join('\n');
  const files = parsePrintedUris(text);
  expect(files).toEqual([
    { fileName: 'qemu_1%3a11.1_amd64.deb', sizeBytes: 10377056, sha256: '0a'.repeat(32) },
    { fileName: 'seabios_1.17_all.deb', sizeBytes: 160548 },
  ]);
  expect(versionsOf(files)).toEqual({ qemu: '1:11.1', seabios: '1.17' });
});

test('the percentage is only parsed from status lines about downloads', () => {
  expect(parseDownloadStatus('dlstatus:3:42.5:Retrieving file 3 of 9 (2s remaining)')).toBe(42.5);
  expect(parseDownloadStatus('pmstatus:dpkg-exec:10.0:Running dpkg')).toBeUndefined();
});
