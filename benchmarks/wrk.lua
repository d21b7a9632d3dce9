-- What load.py reads of a run: requests a second, milliseconds at p50 and p99, failures.
function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    "%f %f %f %d",
    summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
