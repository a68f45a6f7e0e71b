// Calls every tool of a server by the official SDK's client, which holds each answer to the
// schema that the tool states. Standard output asks the test for what only it can do, a line
// each, and is answered with a line; the last line is the report.
import { createInterface } from "node:readline"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"

const [command, publicKey] = process.argv.slice(2)
const client = new Client({ name: "test", version: "1" })
await client.connect(new StdioClientTransport({ command, args: ["mcp"], env: process.env, stderr: "inherit" }))

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const ask = async (line) => {
  console.log(line)
  await answers.next()
}

const { tools } = await client.listTools()
const called = new Set()
const call = async (name, args = {}) => {
  called.add(name)
  const result = await client.callTool({ name, arguments: args })
  if (result.isError) throw new Error(`${name}: ${result.content[0].text}`)
  if (!result.structuredContent) throw new Error(`${name} has no structuredContent`)
  return result.structuredContent
}
const refused = async (name, args) => {
  const result = await client.callTool({ name, arguments: args })
  if (!result.isError) throw new Error(`${name} was not refused`)
  return JSON.parse(result.content[0].text)
}

await call("whoami")
await call("list_offers", { search: "b200", maxHourlyPrice: 1000.5 })
const offer = await call("get_offer", { offerId: "off_abc123" })
await call("price_history", { offerId: offer.id })
await call("check_capacity", { gpuType: offer.gpuType })
await call("list_ssh_keys")
await call("list_volumes", { search: "data" })
await call("list_gpu_types")
await call("list_images")
await call("list_providers")
await call("list_regions")
await call("list_volume_prices")
await call("get_quotas")
await call("list_budgets")
await call("list_announcements")

const without = await refused("quote", {
  offerId: offer.id, name: "training", hours: 2, operatingSystem: "Ubuntu 22.04",
})
const quote = await call("quote", {
  offerId: offer.id, name: "training", hours: 2, operatingSystem: "Ubuntu 22.04", sshPublicKey: publicKey,
})
const { deployment } = await call("deploy", { quoteId: quote.quoteId })
const deploymentId = deployment.id
await ask(`running ${deploymentId}`)
const running = await call("get_deployment", { deploymentId, waitSeconds: 10 })
await call("list_deployments", { status: ["running"] })
await call("deployment_events", { deploymentId })
const later = new Date(Date.parse(quote.autoTerminateAt) + 3_600_000).toISOString()
await call("extend", { deploymentId, autoTerminateAt: later })
await call("power", { deploymentId, action: "reboot" })
await call("get_wallet")
await call("list_transactions", { deploymentId })
await call("get_usage", { groupBy: "deployment" })
await call("list_projects")
await call("list_events", { subject: deploymentId })
const { confirmToken } = await call("can_terminate", { deploymentId })
const ended = await call("terminate", { deploymentId, confirmToken, earliest: true })
await client.close()

console.log(
  JSON.stringify({
    listed: tools.map((t) => t.name).sort(),
    called: [...called].sort(),
    roots: [...new Set(tools.flatMap((t) => [t.inputSchema.type, t.outputSchema.type]))],
    withoutKey: without,
    running: running.status,
    ended: ended.deployment.id === deploymentId,
  }),
)
process.stdin.destroy() // or this program would wait for another line
