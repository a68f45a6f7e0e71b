package rackagent

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
)

const testDrive = 4 << 20

// eraseJob runs an erasure of drives of which the job expects "A" and "B".
func eraseJob(t *testing.T, plan *ErasePlan, drives ...*Drive) (*rack, Next) {
	t.Helper()
	r := newRack(t, drives...)
	r.job = Job{ID: "job_1", Kind: Erase, Drives: []string{"A", "B"}, Erase: plan}
	next := r.agent.Run(t.Context())
	return r, next
}

func TestEraseProvesEveryDrive(t *testing.T) {
	a, a2, b := newMemory("a", testDrive), newMemory("a2", testDrive), newMemory("b", testDrive)
	for _, m := range []*memory{a, a2, b} {
		copy(m.b[testDrive/2:], "former tenant")
	}
	r, next := eraseJob(t, nil, newDrive("B", b), newDrive("A", a, a2))
	last := r.last(t)
	if last.Phase != Done || last.Error != nil || next != PowerOff || !last.Erasure.Complete() {
		t.Fatalf("%+v, next %d", last, next)
	}
	for i, want := range []DriveErasure{
		{Serial: "A", Method: SanitizeCrypto, Bytes: 2 * testDrive, Marks: 512, MarksGone: 512, Verdict: Erased},
		{Serial: "B", Method: SanitizeCrypto, Bytes: testDrive, Marks: 256, MarksGone: 256, Verdict: Erased},
	} {
		got := last.Erasure.Drives[i]
		if got.Serial != want.Serial || got.Method != want.Method || got.Bytes != want.Bytes ||
			got.Marks != want.Marks ||
			got.MarksGone != want.MarksGone || got.Verdict != want.Verdict || got.StartedAt.IsZero() ||
			got.EndedAt.IsZero() {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// TestEraseFailsUnlessProven has one case for each way in which a drive can be bad.
func TestEraseFailsUnlessProven(t *testing.T) {
	good := func(serial string) *Drive { return newDrive(serial, newMemory(serial, testDrive)) }
	for name, c := range map[string]struct {
		drives  func() []*Drive
		serial  string
		verdict Verdict
		detail  string
	}{
		"a drive lies": {func() []*Drive {
			d := good("B")
			d.Erase = func(context.Context, Method) error { return nil }
			return []*Drive{good("A"), d}
		}, "B", MarksFound, "256 of 256 marks are still there"},
		"a drive forgets one namespace": {func() []*Drive {
			first, second := newMemory("b1", testDrive), newMemory("b2", testDrive)
			d := newDrive("B", first, second)
			d.Erase = func(context.Context, Method) error { first.garbage(); return nil }
			return []*Drive{good("A"), d}
		}, "B", MarksFound, "256 of 512 marks are still there"},
		"a drive keeps its last sector": {func() []*Drive {
			m := newMemory("b", testDrive)
			d := newDrive("B", m)
			d.Erase = func(context.Context, Method) error {
				kept := strings.Clone(string(m.b[testDrive-512:]))
				m.garbage()
				copy(m.b[testDrive-512:], kept)
				return nil
			}
			return []*Drive{good("A"), d}
		}, "B", MarksFound, "1 of 256 marks are still there"},
		"a drive ignores writes": {func() []*Drive {
			d := good("B")
			d.Spaces[0].(*memory).keep = true
			return []*Drive{good("A"), d}
		}, "B", Failed, "does not keep what is written"},
		"a drive cannot be read": {func() []*Drive {
			d := good("B")
			d.Spaces[0].(*memory).failRead = testDrive / 2
			return []*Drive{good("A"), d}
		}, "B", Failed, "input/output error"},
		"a drive cannot be written": {func() []*Drive {
			d := good("B")
			d.Spaces[0].(*memory).failWrite = testDrive - 1
			return []*Drive{good("A"), d}
		}, "B", Failed, "input/output error"},
		"a drive cannot be read after it was erased": {func() []*Drive {
			m := newMemory("b", testDrive)
			d := newDrive("B", m)
			d.Erase = func(context.Context, Method) error { m.garbage(); m.failRead = 0; return nil }
			return []*Drive{good("A"), d}
		}, "B", Failed, "input/output error"},
		"a drive is missing": {func() []*Drive { return []*Drive{good("A")} }, "B", Missing,
			"does not show this drive"},
		"a drive is unexpected": {func() []*Drive { return []*Drive{good("A"), good("B"), good("C")} }, "C",
			Unexpected, "not known"},
		"two drives have one serial": {
			func() []*Drive { return []*Drive{good("A"), good("B"), good("B")} }, "B", Failed, "no serial of its own",
		},
		"a drive has no serial": {func() []*Drive { return []*Drive{good("A"), good("B"), good("")} }, "", Failed,
			"no serial"},
		"a drive shows nothing": {func() []*Drive { return []*Drive{good("A"), newDrive("B")} }, "B", Failed,
			"shows nothing"},
		"a drive has a fault": {func() []*Drive {
			d := good("B")
			d.Fault = "1 namespaces are not attached"
			return []*Drive{good("A"), d}
		}, "B", Failed, "not attached"},
		"a drive is too small": {
			func() []*Drive { return []*Drive{good("A"), newDrive("B", newMemory("b", 2048))} }, "B", Failed,
			"too small",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, next := eraseJob(t, nil, c.drives()...)
			last := r.last(t)
			if last.Phase != Stopped || last.Error == nil || last.Error.Code != ErasureFailed || next != PowerOff {
				t.Fatalf("%+v, next %d", last, next)
			}
			found := false
			for _, d := range last.Erasure.Drives {
				switch {
				case d.Serial == c.serial:
					found = true
					if d.Verdict != c.verdict || !strings.Contains(d.Detail, c.detail) {
						t.Errorf("%+v, want %s, %q", d, c.verdict, c.detail)
					}
				case d.Verdict != Erased:
					t.Errorf("the good drive: %+v", d)
				}
			}
			if !found || !strings.Contains(last.Error.Message, c.detail) || !r.said(c.detail) {
				t.Errorf("not named: %+v", last)
			}
		})
	}
}

// TestEraseTakesTheNextMethod: a method that fails honestly is followed by the next. A drive that
// lied is not asked again.
func TestEraseTakesTheNextMethod(t *testing.T) {
	var mu sync.Mutex
	var tried []Method
	script := func(results map[Method]error) (*Drive, *memory) {
		m := newMemory("a", testDrive)
		d := newDrive("A", m)
		d.Erase = func(_ context.Context, method Method) error {
			mu.Lock()
			defer mu.Unlock()
			tried = append(tried, method)
			err := results[method]
			if err == nil {
				m.garbage()
			}
			return err
		}
		return d, m
	}
	refused := errors.New("NVMe status 0x1")
	for name, c := range map[string]struct {
		results map[Method]error
		plan    []Method
		want    Method
		verdict Verdict
	}{
		"the first":       {nil, nil, SanitizeCrypto, Erased},
		"the second":      {map[Method]error{SanitizeCrypto: refused}, nil, NVMeFormat, Erased},
		"overwriting":     {map[Method]error{SanitizeCrypto: refused, NVMeFormat: refused}, nil, Overwrite, Erased},
		"the plan's":      {nil, []Method{NVMeFormat, SanitizeCrypto}, NVMeFormat, Erased},
		"none that works": {map[Method]error{NVMeFormat: refused}, []Method{NVMeFormat}, NVMeFormat, Failed},
		"none it has":     {nil, []Method{ATASecureErase, SanitizeBlock}, "", Failed},
	} {
		d, _ := script(c.results)
		got := eraser{now: newRack(t).agent.Now, plan: ErasePlan{Methods: c.plan}}.drive(t.Context(), d, func(int) {})
		if got.Method != c.want || got.Verdict != c.verdict {
			t.Errorf("%s: %+v", name, got)
		}
	}
	tried = nil
	d, _ := script(nil)
	d.Erase = func(_ context.Context, method Method) error { tried = append(tried, method); return nil }
	got := eraser{now: newRack(t).agent.Now}.drive(t.Context(), d, func(int) {})
	if got.Verdict != MarksFound || len(tried) != 1 {
		t.Errorf("after a lie: %+v, tried %v", got, tried)
	}
}

// TestOverwriteIsSeen: the drive must have what was written over it.
func TestOverwriteIsSeen(t *testing.T) {
	m := newMemory("a", testDrive)
	copy(m.b[testDrive-100:], "former tenant")
	last := 0
	if err := overwrite(t.Context(), newDrive("A", m), func(p int) { last = p }); err != nil || last != 100 {
		t.Fatal(err, last)
	}
	if strings.Contains(string(m.b), "former tenant") || isZero(m.b[:4096]) {
		t.Error("the drive was not overwritten")
	}
	content, _ := randomContent()
	fill(m.b, content, 0)
	m.b[testDrive-1]++
	if err := overwritten(m, content); err == nil {
		t.Error("a changed byte passes")
	}
	m.keep = true
	if err := overwrite(t.Context(), newDrive("A", m), func(int) {}); err == nil {
		t.Error("a drive that ignores writes passes")
	}
}
