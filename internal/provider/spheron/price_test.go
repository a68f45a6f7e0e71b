package spheron

import (
	"encoding/json"
	"testing"
)

// The rate of a deployment counts, not its offer's: sources differ on the price of SPOT.
func TestDeployment_HourlyRate(t *testing.T) {
	for text, want := range map[string]int64{
		`"instanceType":"SPOT","hourlyRate":0.99,"originalHourlyRate":2.01`: 990_000,
		`"hourlyRate":"2.01"`: 2_010_000, `"hourlyRate":null`: 0, `"hourlyRate":"much"`: 0, `"hourlyRate":-1`: 0,
		`"totalCost":1`: 0,
	} {
		var d deployment
		if err := json.Unmarshal([]byte(`{"id":"1","status":"running",`+text+`}`), &d); err != nil ||
			int64(d.HourlyRate) != want {
			t.Errorf("%s is %d, %v; want %d", text, d.HourlyRate, err, want)
		}
	}
}
