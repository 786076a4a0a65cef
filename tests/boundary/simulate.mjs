// Answers what IAM would: reads a JSON array of simulations on standard input, writes an array of answers.
//
//     node simulate.mjs <folder with node_modules/@cloud-copilot/iam-simulate>
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const entry = join(process.argv[2], 'node_modules', '@cloud-copilot', 'iam-simulate', 'dist', 'esm', 'index.js')
const { runSimulation, anonymousPrincipal } = await import(pathToFileURL(entry))

const answers = []
for (const simulation of JSON.parse(readFileSync(0, 'utf8'))) {
  if (simulation.request.principal === 'anonymous') simulation.request.principal = anonymousPrincipal
  const result = await runSimulation(simulation, {})
  answers.push(
    result.resultType === 'error'
      ? { error: result.errors }
      : { decision: result.overallResult, ignored: result.result?.ignoredContextKeys ?? result.results.flatMap((one) => one.ignoredContextKeys ?? []) }
  )
}
process.stdout.write(JSON.stringify(answers))
