package budget

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// A late hour of yesterday neither tells yesterday's threshold again nor has today's told twice.
func TestTally_alertOnceForEachPeriod(t *testing.T) {
	t.Parallel()
	today := time.Date(2031, 1, 30, 1, 0, 0, 0, time.UTC)
	r := &row{Budget: Budget{ID: "bud_1", Settings: Settings{
		Period: Day, Amount: money.Dollars(10), Thresholds: []int{50},
	}}}
	used := map[id.ID]money.Micros{"bud_1": money.Dollars(6)}
	for i, c := range []struct {
		at   time.Time
		told bool
	}{
		{today.AddDate(0, 0, -1), true},
		{today, true},
		{today.AddDate(0, 0, -1), false},
		{today, false},
		{today.AddDate(0, 0, 1), true},
	} {
		if _, told := (tally{at: c.at, spent: used}).alert(r); told != c.told {
			t.Errorf("call %d, at %s: told = %t, want %t", i, c.at, told, c.told)
		}
	}
}
