import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { licenseOf } from './bill-of-materials.ts'
import { debianPackages } from './debian-packages.ts'

function rootWith(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'plateau-root-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), text)
  }
  return root
}

test('what dpkg has installed is listed with version, architecture and declared licences; what it has removed is not', () => {
  const root = rootWith({
    'etc/os-release': 'NAME="Debian GNU/Linux"\nVERSION_ID="12"\n',
    'var/lib/dpkg/status': `Package: tini
Status: install ok installed
Architecture: amd64
Version: 0.19.0-1
Description: tiny but valid init
 for containers

Package: libstdc++6
Status: install ok installed
Architecture: amd64
Version: 1:12.2.0-14+deb12u1

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1
`,
    'usr/share/doc/tini/copyright':
      'Files: *\nLicense: Expat\n Permission is granted\n\nFiles: debian/*\nLicense: GPL-2+\n\nLicense: Expat\n',
    'usr/share/doc/libstdc++6/copyright': 'This package was put together by hand.\n',
  })
  const found = debianPackages(root)
  expect(found.map((one) => [one.name, one.version, one.purl, licenseOf(one)])).toEqual([
    ['tini', '0.19.0-1', 'pkg:deb/debian/tini@0.19.0-1?arch=amd64&distro=debian-12', 'Expat, GPL-2+'],
    [
      'libstdc++6',
      '1:12.2.0-14+deb12u1',
      'pkg:deb/debian/libstdc%2B%2B6@1%3A12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12',
      'see /usr/share/doc/libstdc++6/copyright',
    ],
  ])
})
