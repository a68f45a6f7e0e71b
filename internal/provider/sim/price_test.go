package sim

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"pgregory.net/rapid"
)

func TestPricesStayWithinFourPercentInWholeCentsAndMoveOnTheHourOnly(t *testing.T) {
	sources, err := readCatalog(catalogJSON)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		s := rapid.SampledFrom(sources).Draw(t, "source")
		o := rapid.SampledFrom(s.Offers).Draw(t, "offer")
		hour := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "at"), 0).Truncate(time.Hour)
		price := hourlyPrice(seed, s.Slug, o, hour)
		perGPU := int64(price) / int64(o.GPUCount)
		if int64(price)%int64(o.GPUCount) != 0 || perGPU%microsOfACent != 0 {
			t.Fatalf("%s: %s is not whole cents for each of %d", o.Key, price, o.GPUCount)
		}
		if base := o.CentsPerGPUHour * microsOfACent; perGPU*100 < base*96 || perGPU*100 > base*104 {
			t.Fatalf("%s: %s is more than four percent from %s", o.Key, money.Micros(perGPU), money.Micros(base))
		}
		later := hour.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)-1).Draw(t, "later")))
		if p := hourlyPrice(seed, s.Slug, o, later); p != price {
			t.Fatalf("%s: %s at %s and %s at %s", o.Key, price, hour, p, later)
		}
		if n := elsewhere(seed, s.Slug, o, hour); n < 0 || n > o.Wobble || n != elsewhere(seed, s.Slug, o, later) {
			t.Fatalf("%s: %d elsewhere", o.Key, n)
		}
	})
}

// TestMarketMoves checks that a day is not all the same: prices move, some offers sell out, and
// return.
func TestMarketMoves(t *testing.T) {
	c := clock.NewFrozen(time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC))
	w, err := Open(
		t.Context(),
		Config{Dir: t.TempDir(), Clock: c, Seed: 1, Log: slog.New(slog.DiscardHandler), Listen: ListenBanner},
	)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	type seen struct {
		prices           map[money.Micros]bool
		soldOut, offered int
	}
	all := map[string]*seen{}
	const hours = 48
	for range hours {
		for _, p := range w.Providers() {
			for _, o := range offersOf(t, p) {
				s := all[o.Key]
				if s == nil {
					s = &seen{prices: map[money.Micros]bool{}}
					all[o.Key] = s
				}
				s.prices[o.HourlyPrice] = true
				if o.Available {
					s.offered++
				} else {
					s.soldOut++
				}
			}
		}
		c.Advance(time.Hour)
	}
	moved, scarce := 0, 0
	for key, s := range all {
		if len(s.prices) > 2 {
			moved++
		}
		if s.soldOut > 0 && s.offered > 0 {
			scarce++
		}
		if s.offered == 0 {
			t.Errorf("%s was never available", key)
		}
	}
	if moved < len(all)*9/10 || scarce < 5 || scarce > len(all)/2 {
		t.Errorf("of %d offers %d moved and %d were sold out at times", len(all), moved, scarce)
	}
	if s := all["off_abc123"]; s.soldOut > 0 {
		t.Error("the quick start's offer was sold out")
	}
}

func offersOf(t *testing.T, p provider.Provider) []provider.Offer {
	t.Helper()
	offers, err := p.Offers(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return offers
}

// openedIn2027 is a world in which nothing has happened yet.
func openedIn2027(t *testing.T) *World {
	t.Helper()
	c := clock.NewFrozen(time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC))
	w, err := Open(
		t.Context(),
		Config{Dir: t.TempDir(), Clock: c, Log: slog.New(slog.DiscardHandler), Listen: ListenBanner},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func TestCatalog_Variety(t *testing.T) {
	t.Parallel()
	w := openedIn2027(t)
	count, keys := 0, map[string]bool{}
	gpus, types := map[string]bool{}, map[provider.InstanceType]bool{}
	without, long := 0, 0
	for _, p := range w.Providers() {
		if p.Info().MinimumRuntime > 25*time.Minute {
			long++
		}
		if _, ok := p.(provider.VolumeProvider); !ok {
			without++
		}
		for _, o := range offersOf(t, p) {
			count++
			gpus[o.GPUType], types[o.InstanceType] = true, true
			if keys[o.Key] {
				t.Errorf("two offers %s", o.Key)
			}
			keys[o.Key] = true
		}
	}
	if count < 40 || len(w.Providers()) < 4 || without == 0 || long == 0 {
		t.Errorf(
			"%d offers of %d providers, %d without volumes, %d with a long minimum",
			count,
			len(w.Providers()),
			without,
			long,
		)
	}
	for _, g := range []string{"NVIDIA B200", "NVIDIA H200", "NVIDIA H100", "NVIDIA A100", "NVIDIA L40S",
		"NVIDIA RTX 4090", "AMD MI300X"} {
		if !gpus[g] {
			t.Errorf("no %s", g)
		}
	}
	if len(types) != 4 {
		t.Errorf("instance types %v", types)
	}
}

func TestCatalog_QuickStartOffer(t *testing.T) {
	t.Parallel()
	var quick provider.Offer
	for _, p := range openedIn2027(t).Providers() {
		for _, o := range offersOf(t, p) {
			if o.Key == "off_abc123" && p.Info().Slug == "voltage-park" {
				quick = o
			}
		}
	}
	if quick.GPUType != "NVIDIA B200" || quick.GPUCount != 8 || quick.Region != "dallas-usa-5" ||
		quick.InstanceType != provider.BareMetal ||
		!slices.Contains(quick.OperatingSystems, "Ubuntu 22.04") ||
		quick.Stock == nil || *quick.Stock != 64 ||
		quick.Capabilities != (provider.Capabilities{Reboot: true, Power: true, Reinstall: true, Volumes: true,
			CloudInit: true}) {
		t.Errorf("the quick start's offer: got %+v, want the one of the quick start", quick)
	}
}

func TestCatalogThatContradictsItselfIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"unknown field": `{"providers":[],"more":1}`,
		"twice":         `{"providers":[{"slug":"a"},{"slug":"a"}]}`,
		"unknown region": `{"providers":[{"slug":"a","name":"A","launchLimitMinutes":1,"syncEverySeconds":1,` +
			`"pollEverySeconds":1,"offers":[{"key":"k","region":"r","gpuType":"g","gpuCount":1,"gpuMemoryGb":1,` +
			`"vcpus":1,"memoryGb":1,"storageGb":1,"instanceType":"VM","operatingSystems":["x"],` +
			`"centsPerGpuHour":1,"stock":1}]}]}`,
		"not JSON": `providers:`,
	} {
		if _, err := readCatalog([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
