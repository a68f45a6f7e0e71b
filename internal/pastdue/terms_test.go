package pastdue

import (
	"testing"
	"time"
)

func TestTerms_PastDue(t *testing.T) {
	terms := Terms{Grace: time.Hour, KeepVolumes: 7 * 24 * time.Hour}
	if due := terms.PastDue(nil); due != nil {
		t.Errorf("%v of an account that is not below zero", due)
	}
	since := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	want := PastDue{Since: since, DeploymentsEndAt: since.Add(time.Hour),
		VolumesDeletedAt: time.Date(2026, 11, 8, 10, 0, 0, 0, time.UTC)}
	if due := terms.PastDue(&since); due == nil || *due != want {
		t.Errorf("%v, want %v", due, want)
	}
}

func TestTerms_LowBalance(t *testing.T) {
	terms := Terms{Grace: time.Hour, KeepVolumes: 7 * 24 * time.Hour}
	now := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	if due := terms.LowBalance(nil, now); due != nil {
		t.Errorf("%v of an account whose money does not end", due)
	}
	for left, want := range map[time.Duration]bool{
		24*time.Hour + time.Second: false, 24 * time.Hour: true, time.Hour: true, -time.Hour: true,
	} {
		dry := now.Add(left)
		got := terms.LowBalance(&dry, now)
		if (got != nil) != want || want && *got != (LowBalance{dry.Add(time.Hour), dry.AddDate(0, 0, 7)}) {
			t.Errorf("%s before the money ends: %v, want deadlines: %t", left, got, want)
		}
	}
}

func TestNothingEndsBeforeTheTermsAllow(t *testing.T) {
	since := time.Date(2026, 11, 30, 4, 0, 0, 0, time.UTC)
	first := since.Add(24 * time.Hour)
	terms := Terms{
		Grace: time.Hour, KeepVolumes: 72 * time.Hour, NotBefore: func() time.Time { return first },
	}
	due := terms.PastDue(&since)
	if !due.DeploymentsEndAt.Equal(first) || !due.VolumesDeletedAt.Equal(since.Add(72*time.Hour)) {
		t.Errorf("%+v", due)
	}
	terms.NotBefore = nil
	if due = terms.PastDue(&since); !due.DeploymentsEndAt.Equal(since.Add(time.Hour)) {
		t.Errorf("%+v", due)
	}
}
