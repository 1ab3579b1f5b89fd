"""Pure functions on arrays, in the notation of the papers that they implement."""
