import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Component } from './bill-of-materials.ts'

/** What dpkg has installed below `root`, with the licences that each package's copyright file declares. */
export function debianPackages(root: string): Component[] {
  const distribution = /^VERSION_ID="?([^"\n]+)/m.exec(readFileSync(join(root, 'etc/os-release'), 'utf8'))?.[1]
  return readFileSync(join(root, 'var/lib/dpkg/status'), 'utf8')
    .split('\n\n')
    .map(fields)
    .filter((stanza) => stanza['Status'] === 'install ok installed')
    .map((stanza) => {
      const { Package: name, Version: version, Architecture: arch } = stanza as Record<string, string>
      const query = `arch=${arch}&distro=debian-${distribution}`
      const purl = `pkg:deb/debian/${encodeURIComponent(name!)}@${encodeURIComponent(version!)}?${query}`
      const licenses = declaredLicenses(root, name!).map((license) => ({ license: { name: license } }))
      return { type: 'library', name: name!, version: version!, purl, 'bom-ref': purl, licenses }
    })
}

/** One `Name: value` a line; lines that go on are not needed here. */
function fields(stanza: string): Record<string, string | undefined> {
  return Object.fromEntries([...stanza.matchAll(/^([\w-]+): (.*)$/gm)].map(([, name, value]) => [name!, value!]))
}

/** By Debian's machine-readable copyright format; older files are prose, and are referred to. */
function declaredLicenses(root: string, name: string): string[] {
  const place = `usr/share/doc/${name}/copyright`
  const file = join(root, place)
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  const declared = [...text.matchAll(/^License:[ \t]*(\S.*)$/gm)].map(([, license]) => license!.trim())
  return declared.length === 0 ? [`see /${place}`] : [...new Set(declared)].toSorted()
}
