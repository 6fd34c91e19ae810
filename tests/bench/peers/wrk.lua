-- wrk sends the bodies of a file (args[1]) in turn, one a line; with args[2] the whole file is one body.
-- It ends with one line of JSON.
local requests, at = {}, 0

function init(args)
  if args[2] then
    local file = io.open(args[1], "rb")
    requests[1] = wrk.format("POST", nil, nil, file:read("*a"))
    file:close()
  else
    for body in io.lines(args[1]) do
      requests[#requests + 1] = wrk.format("POST", nil, nil, body)
    end
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "microseconds": %d, "p50": %.0f, "p99": %.0f, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
