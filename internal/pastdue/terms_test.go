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
