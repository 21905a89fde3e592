-- The load, for wrk: `wrk … -s load.lua URL -- sign-in`, `flood`, or `account-info FILE` with a file of identity ids
-- of 32 characters, one after another without separators.

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

-- Customer 1 to 10,000 are known to the server from the start. Their addresses are scattered, as those of real
-- customers are: in alphabetical order, the index of addresses would be written in one place and look cheap.
local KNOWN = 10000

local function known()
  return string.format("%08x", (math.random(KNOWN) * 2654435761) % 4294967296)
end

local function new()
  return string.format("%06x%06x", math.random(0, 0xffffff), math.random(0, 0xffffff))
end

local function post(address, ip)
  local body = '{"email":"%s@example.com","firstName":"Jan","lastName":"Novak","customerRealIp":"%s"}'
  return wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, body:format(address, ip))
end

local loads = {}

loads["sign-in"] = function()
  local ip = string.format("85.%d.%d.%d", math.random(0, 255), math.random(0, 255), math.random(0, 255))
  return post(math.random() < 0.5 and known() or new(), ip)
end

loads["flood"] = function()
  return post("victim", "85.1.1.1")
end

loads["account-info"] = function()
  local start = 32 * math.random(0, #identities / 32 - 1)
  return wrk.format("GET", wrk.path .. "&identityId=" .. identities:sub(start + 1, start + 32))
end

function init(arguments)
  -- Else all threads and all runs would say the same.
  math.randomseed(os.time() * 64 + number)
  request = loads[arguments[1]]
  if arguments[2] then
    identities = assert(io.open(arguments[2])):read("*a")
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f, "not_answered": %d, "refused": %d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
