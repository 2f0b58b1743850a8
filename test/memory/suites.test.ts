import { memory } from "../backends/memory/log.ts"
import { boundsSuite } from "../suites/log/bounds.ts"
import { duplicatesSuite } from "../suites/log/duplicates.ts"
import { lapsSuite } from "../suites/log/laps.ts"
import { lateSuite } from "../suites/log/late.ts"
import { losingSuite } from "../suites/log/losing.ts"
import { publishingSuite } from "../suites/log/publishing.ts"
import { readingOnSuite } from "../suites/log/readingOn.ts"
import { scenariosSuite } from "../suites/log/scenarios.ts"
import { slotsSuite } from "../suites/log/slots.ts"
import { subscribingSuite } from "../suites/log/subscribing.ts"
import { timesSuite } from "../suites/log/times.ts"
import { topicReuseSuite } from "../suites/log/topicReuse.ts"
import { unorderedSuite } from "../suites/log/unordered.ts"

losingSuite(memory)
publishingSuite(memory)
subscribingSuite(memory)
topicReuseSuite(memory)
readingOnSuite(memory)
lapsSuite(memory)
timesSuite(memory)
unorderedSuite(memory)
slotsSuite(memory)
lateSuite(memory)
duplicatesSuite(memory)
boundsSuite(memory)
scenariosSuite(memory)
