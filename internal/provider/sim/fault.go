package sim

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider/sim/node"
)

// FaultKind names a way in which the simulated upstream misbehaves. [FaultKinds] describes them.
type FaultKind string

// The kinds of faults.
const (
	FaultLostAnswer       FaultKind = "lost-answer"
	FaultUnavailable      FaultKind = "unavailable"
	FaultRateLimited      FaultKind = "rate-limited"
	FaultGarbage          FaultKind = "garbage"
	FaultGarbled          FaultKind = "garbled"
	FaultSlow             FaultKind = "slow"
	FaultRejected         FaultKind = "rejected"
	FaultNoCapacity       FaultKind = "no-capacity"
	FaultScarcity         FaultKind = "scarcity"
	FaultPrice            FaultKind = "price"
	FaultProvisioningTime FaultKind = "provisioning-time"
	FaultFailProvisioning FaultKind = "fail-provisioning"
	FaultNoSSH            FaultKind = "no-ssh"
	FaultGPU              FaultKind = "gpu"
	FaultMachineLost      FaultKind = "machine-lost"
	FaultRefuseTerminate  FaultKind = "refuse-terminate"
	FaultStaleList        FaultKind = "stale-list"
	FaultOrphan           FaultKind = "orphan"
)

// Fault is one way in which the world misbehaves from now on. It is plain data.
type Fault struct {
	// ID is given by the world: "f1".
	ID   string    `json:"id,omitempty"`
	Kind FaultKind `json:"kind"`
	// Provider, Operation and Offer narrow the fault to a provider's slug, one of [Operations], an
	// offer's key; "" is all.
	Provider  string `json:"provider,omitempty"`
	Operation string `json:"operation,omitempty"`
	Offer     string `json:"offer,omitempty"`
	// Percent is how likely it applies where it can, 1…100; 0 is 100.
	Percent int `json:"percent,omitempty"`
	// Count is how often it applies before it is spent; 0 is without limit.
	Count int64 `json:"count,omitempty"`
	// Seconds is a length of time, whose meaning is the kind's.
	Seconds Span `json:"seconds,omitzero"`
	// Value is the kind's own: a stock or a script of it, a price, a stage, a reference.
	Value string `json:"value,omitempty"`
	// ForSeconds is how long it lasts on the world's clock; 0 is until it is cleared.
	ForSeconds int64 `json:"forSeconds,omitempty"`
	// Seed decides everything that is left to chance: the same faults asked in the same order
	// are injected the same way.
	Seed uint64 `json:"seed,omitempty"`

	// Since and Until are set by the world; Until is zero for a fault that lasts until it is
	// cleared.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Checked and Injected are how often it could have been injected and was. Faults that are
	// states, as a price is, do not count.
	Checked  int64 `json:"checked"`
	Injected int64 `json:"injected"`
}

// Over reports whether the fault is no longer injected at that instant: its time is up, or its
// count spent.
func (f Fault) Over(now time.Time) bool {
	return !f.Until.IsZero() && !now.Before(f.Until) || f.Count > 0 && f.Injected >= f.Count
}

// definition is the fault as it was added.
func (f Fault) definition() Fault {
	f.ID, f.Since, f.Until, f.Checked, f.Injected = "", time.Time{}, time.Time{}, 0, 0
	return f
}

// FaultInfo describes a kind of fault.
type FaultInfo struct {
	Kind FaultKind
	// Effect says what it does, and what its seconds and value mean.
	Effect string
	// Takes names the parameters that it may have, beside provider.
	Takes []string
	// Example is a whole command.
	Example string
}

// What kinds take.
var (
	aCall    = []string{"operation", "percent", "count", "for", "seed"}
	aMachine = []string{"offer", "percent", "count", "for", "seed"}
)

// FaultKinds describes every kind.
func FaultKinds() []FaultInfo {
	return []FaultInfo{
		{FaultLostAnswer, "the call takes effect, but its response is lost (timeout)", aCall,
			"lost-answer --operation launch --count 1"},
		{FaultUnavailable, "the call has no effect and fails, as if the server were down", aCall,
			"unavailable --provider northgrid --for 10m"},
		{
			FaultRateLimited,
			"the call has no effect and may be retried after this many seconds (30)",
			with(aCall, "seconds"),
			"rate-limited --operation machines --percent 50 --seconds 20",
		},
		{FaultGarbage, "the call has no effect, and the response is a web page instead of JSON", aCall,
			"garbage --operation offers --count 3"},
		{
			FaultGarbled,
			"the call takes effect, but the texts in its response are long and contain NULs, control " +
				"characters and invalid UTF-8",
			aCall,
			"garbled --operation machine --percent 50",
		},
		{FaultSlow, "the call takes this many seconds of real time (1-3; at most 120)", with(aCall, "seconds"),
			"slow --percent 20 --seconds 2-10"},
		{FaultRejected, "the call is refused permanently", aCall,
			"rejected --operation attach-volume --count 1"},
		{FaultNoCapacity, "a launch fails as sold out, regardless of the stock", aMachine,
			"no-capacity --offer off_abc123 --percent 30"},
		{
			FaultScarcity,
			"sets the offer's total number of machines, including rented ones; a script such as 0s:4,10m:0 " +
				"changes it over time",
			[]string{"offer", "value", "for"},
			"scarcity --offer off_abc123 --value 0s:4,10m:0,2h:8",
		},
		{
			FaultPrice,
			"changes the offer's price by a percentage, or sets it in US dollars per hour of the whole offer",
			[]string{"offer", "value", "for"},
			"price --provider basalt --value +25%",
		},
		{
			FaultProvisioningTime,
			"sets how many seconds an installation takes; three numbers are minimum, median and maximum",
			with(aMachine, "seconds"),
			"provisioning-time --seconds 30-240-1500 --seed 7",
		},
		{
			FaultFailProvisioning,
			"an installation fails at a stage: allocating, installing (the default) or booting",
			with(aMachine, "value"),
			"fail-provisioning --value booting --count 1",
		},
		{FaultNoSSH, "a new machine becomes ready, but its SSH never answers", aMachine,
			"no-ssh --count 1"},
		{
			FaultGPU,
			"a new machine has a faulty GPU; the value is the GPU check that finds it: " +
				strings.Join(node.GPUFaults(), ", ") + " (compute, by default: no CUDA program starts)",
			with(aMachine, "value"),
			"gpu --value ecc --count 1",
		},
		{
			FaultMachineLost,
			"a ready machine is reclaimed: at once for --count machines (1), or with --percent when one is read",
			aMachine,
			"machine-lost --provider voltage-park",
		},
		{
			FaultRefuseTerminate,
			"terminations are refused; without --for, they may be retried after this many seconds (3600)",
			with(aMachine, "seconds"),
			"refuse-terminate --for 24h",
		},
		{
			FaultStaleList,
			"lists of machines and offers are this many seconds old (60)",
			with(aCall, "seconds"),
			"stale-list --operation machines --seconds 300",
		},
		{
			FaultOrphan,
			"--count orphaned machines (1) appear upstream, without a reference or with that of --value; " +
				"clearing the fault removes them",
			[]string{"offer", "count", "value"},
			"orphan --provider northgrid --value dep_somebodyelses",
		},
	}
}

func with(takes []string, more ...string) []string { return append(slices.Clone(takes), more...) }

// Operations returns the names of all calls to a provider.
func Operations() []string {
	return []string{
		"launch", "machine", "machines", "terminate", "offers", "reboot", "power-on", "power-off", "reinstall",
		"volume-pricing", "create-volume", "volume", "volumes", "grow-volume", "delete-volume", "attach-volume",
		"detach-volume",
	}
}

// The bounds and defaults of lengths of time.
const (
	maxSlow        = 120
	maxSeconds     = 366 * 24 * 3600
	defaultRetry   = 30
	defaultRefusal = 3600
	defaultStale   = 60
)

// orphanReference is what a orphan may be called; it names a folder.
var orphanReference = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)

// checked returns the fault with its defaults, or everything that is wrong with it.
func (w *World) checked(f Fault) (Fault, error) {
	f = f.definition()
	kinds := FaultKinds()
	i := slices.IndexFunc(kinds, func(k FaultInfo) bool { return k.Kind == f.Kind })
	if i < 0 {
		names := make([]string, len(kinds))
		for i, k := range kinds {
			names[i] = string(k.Kind)
		}
		return f, fmt.Errorf("%q is no kind of fault; the kinds are %s", f.Kind, strings.Join(names, ", "))
	}
	var wrong []error
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	takes := kinds[i].Takes
	for _, p := range []struct {
		name string
		set  bool
	}{
		{"operation", f.Operation != ""}, {"offer", f.Offer != ""}, {"percent", f.Percent != 0},
		{"count", f.Count != 0},
		{"seconds", f.Seconds != Span{}}, {"value", f.Value != ""}, {"for", f.ForSeconds != 0}, {"seed", f.Seed != 0},
	} {
		if p.set && !slices.Contains(takes, p.name) {
			bad("%s takes no %s; it takes provider, %s", f.Kind, p.name, strings.Join(takes, ", "))
		}
	}
	w.checkTarget(f, bad)
	if f.Percent < 0 || f.Percent > 100 {
		bad("percent is 1 to 100, not %d", f.Percent)
	}
	if f.Count < 0 || f.ForSeconds < 0 || f.ForSeconds > maxSeconds {
		bad("count and for are not negative, and for is at most 366 days")
	}
	f.setDefaults(slices.Contains(takes, "percent"))
	most := float64(maxSeconds)
	if f.Kind == FaultSlow {
		most = maxSlow
	}
	if s := f.Seconds; !(0 <= s.Min && s.Min <= s.Median && s.Median <= s.Max && s.Max <= most) {
		bad("seconds are in order and 0 to %.0f, not %s", most, s)
	}
	if err := f.checkValue(); err != nil {
		wrong = append(wrong, err)
	}
	return f, errors.Join(wrong...)
}

// checkTarget checks what the fault is narrowed to.
func (w *World) checkTarget(f Fault, bad func(format string, args ...any)) {
	if f.Operation != "" && !slices.Contains(Operations(), f.Operation) {
		bad("there is no operation %q; the operations are %s", f.Operation, strings.Join(Operations(), ", "))
	} else if f.Kind == FaultStaleList && !slices.Contains([]string{"", "machines", "offers"}, f.Operation) {
		bad("stale-list has the operations machines and offers")
	}
	var slugs []string
	known, sold := f.Provider == "", f.Offer == ""
	for _, s := range w.sources {
		slugs = append(slugs, s.Slug)
		if f.Provider == "" || f.Provider == s.Slug {
			known, sold = true, sold || s.offer(f.Offer) != nil
		}
	}
	if !known {
		bad("there is no provider %q; the providers are %s", f.Provider, strings.Join(slugs, ", "))
	} else if !sold {
		bad("there is no offer with the key %q", f.Offer)
	}
}

func (f *Fault) setDefaults(byChance bool) {
	if f.Kind == FaultOrphan || f.Kind == FaultMachineLost && f.Percent == 0 {
		f.Count = max(f.Count, 1)
	}
	if byChance && f.Percent == 0 {
		f.Percent = 100
	}
	if f.Seconds != (Span{}) {
		return
	}
	switch f.Kind {
	case FaultSlow:
		f.Seconds = Span{1, 2, 3}
	case FaultRateLimited:
		f.Seconds = Exactly(defaultRetry)
	case FaultRefuseTerminate:
		f.Seconds = Exactly(defaultRefusal)
	case FaultStaleList:
		f.Seconds = Exactly(defaultStale)
	}
}

func (f *Fault) checkValue() error {
	switch f.Kind {
	case FaultScarcity:
		_, err := parseStock(f.Value)
		return err
	case FaultPrice:
		_, err := parsePrice(f.Value)
		return err
	case FaultProvisioningTime:
		if f.Seconds == (Span{}) {
			return errors.New("provisioning-time needs seconds, such as 30-240-1500")
		}
	case FaultFailProvisioning:
		if f.Value == "" {
			f.Value = "installing"
		}
		if _, known := stageEnds[f.Value]; !known {
			return fmt.Errorf("there is no stage %q; the stages are allocating, installing and booting", f.Value)
		}
	case FaultGPU:
		if f.Value == "" {
			f.Value = "compute"
		}
		if !slices.Contains(node.GPUFaults(), f.Value) {
			return fmt.Errorf("there is no GPU fault %q; they are %s", f.Value, strings.Join(node.GPUFaults(), ", "))
		}
	case FaultOrphan:
		if f.Value != "" && (!orphanReference.MatchString(f.Value) || f.Count > 1 || isNameless(id.ID(f.Value))) {
			return errors.New(
				"a orphan's reference has at most 40 of a-z, 0-9, _ and -, does not begin with orphan-, and is one " +
					"machine's",
			)
		}
	}
	return nil
}

// stockStep says how many there are from an instant on.
type stockStep struct {
	after time.Duration
	stock int
}

// parseStock reads "4" and "0s:4,10m:0".
func parseStock(s string) ([]stockStep, error) {
	wrong := fmt.Errorf(
		"%q is no stock; write a number such as 3, or a script of times and numbers such as 0s:4,10m:0",
		s,
	)
	var steps []stockStep
	for part := range strings.SplitSeq(s, ",") {
		after, number, scripted := strings.Cut(part, ":")
		if !scripted {
			after, number = "0s", part
		}
		d, err1 := time.ParseDuration(after)
		n, err2 := strconv.Atoi(number)
		if err1 != nil || err2 != nil || d < 0 || n < 0 || !scripted && part != s ||
			len(steps) > 0 && d <= steps[len(steps)-1].after {
			return nil, wrong
		}
		steps = append(steps, stockStep{d, n})
	}
	return steps, nil
}

// parsePrice reads "+25%", "-10%" and "40.00", and returns what makes one price of another.
func parsePrice(s string) (func(money.Micros) money.Micros, error) {
	if percent, relative := strings.CutSuffix(s, "%"); relative {
		n, err := strconv.ParseInt(percent, 10, 64)
		if err == nil && n > -100 && n <= 1000 {
			return func(p money.Micros) money.Micros { return max(1, (p.Times(100+n)+50)/100) }, nil
		}
	} else if p, err := money.Parse(s); err == nil && p > 0 && p <= money.Dollars(100_000) {
		return func(money.Micros) money.Micros { return p }, nil
	}
	return nil, fmt.Errorf("%q is no price; write +25%%, -10%%, or US dollars for an hour such as 40.00", s)
}
