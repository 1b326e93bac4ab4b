/** @file Measures what a page has to load: everything, minified and compressed. Fails if it grew too large. */

import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const BYTES_MAX = 15_000

const { outputFiles } = await build({
  entryPoints: [new URL('jetstream.js', import.meta.url).pathname],
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  write: false
})
const minified = outputFiles[0].contents
const compressed = gzipSync(minified, { level: 9 }).length
console.log(`${minified.length} bytes minified, ${compressed} compressed, of at most ${BYTES_MAX}`)
process.exitCode = compressed > BYTES_MAX ? 1 : 0
