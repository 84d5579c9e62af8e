// `npm run build`, and what `npm ci` ends with: makes dist/ (or the directory it is given), from which the program starts in half the time. Without what building takes
// (an install without development dependencies) nothing is built and the program runs from its sources.
let bundle
try {
  bundle = await import('./bundle.ts')
} catch (thrown) {
  console.error(`not built, starts will take longer: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
}
await bundle?.build(process.argv[2])
