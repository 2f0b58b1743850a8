import { memory } from "../backends/memory/log.ts"
import { historySuite } from "../suites/log/history.ts"
import { replicasSuite } from "../suites/log/replicas.ts"
import { restoringSuite } from "../suites/log/restoring.ts"

replicasSuite(memory)
restoringSuite(memory)
historySuite(memory)
