package setup

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	now := time.Date(2028, 3, 1, 12, 0, 0, 0, time.UTC)
	codes := []record{
		{hash: hashOf("OLD"), expiresAt: now},
		{hash: hashOf("NEW"), expiresAt: now.Add(time.Second)},
	}
	for _, c := range []struct {
		name  string
		codes []record
		code  string
		want  error
	}{
		{"without a code", nil, "NEW", errWrong},
		{"a code that works", codes, "NEW", nil},
		{"at the instant of its expiry", codes, "OLD", errExpired},
		{"another code", codes, "OTHER", errWrong},
		{"nothing", codes, "", errWrong},
	} {
		if got := judge(c.codes, hashOf(c.code), now); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	for _, err := range []error{errWrong, errExpired} {
		if got := apierr.CodeOf(err); got != apierr.InvalidRequest {
			t.Errorf("%v: got %s, want INVALID_REQUEST", err, got)
		}
	}
}

func TestCodesAreEasyToType(t *testing.T) {
	t.Parallel()
	const text = "K7QF2MNXRT5AWZ3D"
	if got, want := grouped(text), "K7QF-2MNX-RT5A-WZ3D"; got != want {
		t.Errorf("grouped: got %s, want %s", got, want)
	}
	for _, typed := range []string{grouped(text), "k7qf-2mnx-rt5a-wz3d", " K7QF 2MNX RT5A WZ3D ", text} {
		if got := bare(typed); got != text {
			t.Errorf("bare(%q): got %s, want %s", typed, got, text)
		}
	}
}
