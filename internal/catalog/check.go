package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// Bounds of what a provider may return. They are far beyond anything real, and keep every later
// computation (price × markup, price × hours) within an int64.
const (
	maxOffers      = 50_000
	maxText        = 128 // bytes of a key, a GPU type, an interconnect
	maxSystems     = 64  // operating systems of an offer
	maxCount       = 1_000_000
	maxGB          = 1_000_000_000
	maxHourlyPrice = 1_000_000 * money.USD
	maxPerGBHour   = money.USD
	maxMinimum     = 366 * day
)

// checkOffer returns why an offer is invalid, or nil.
func checkOffer(o provider.Offer) error {
	return cmp.Or(checkIdentity(o), checkHardware(o), checkSystems(o.OperatingSystems), checkTerms(o))
}

// checkIdentity checks what an offer is called and where it is.
func checkIdentity(o provider.Offer) error {
	if err := checkText(o.Key); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	if !provider.ValidSlug(o.Region) {
		return fmt.Errorf("region %.80q is not a slug", o.Region)
	}
	if err := checkText(o.GPUType); err != nil {
		return fmt.Errorf("GPU type: %w", err)
	}
	if o.Interconnect != "" {
		if err := checkText(o.Interconnect); err != nil {
			return fmt.Errorf("interconnect: %w", err)
		}
	}
	return nil
}

func checkHardware(o provider.Offer) error {
	if o.GPUCount < 1 || o.GPUCount > maxCount {
		return fmt.Errorf("%d GPUs", o.GPUCount)
	}
	for name, n := range map[string]int{
		"GPU memory": o.GPUMemoryGB, "vCPUs": o.VCPUs, "memory": o.MemoryGB, "storage": o.StorageGB,
	} {
		if n < 0 || n > maxGB {
			return fmt.Errorf("%s of %d", name, n)
		}
	}
	if o.Stock != nil && (*o.Stock < 0 || *o.Stock > maxCount) {
		return fmt.Errorf("stock of %d", *o.Stock)
	}
	return nil
}

func checkSystems(systems []string) error {
	if len(systems) == 0 || len(systems) > maxSystems {
		return fmt.Errorf("%d operating systems", len(systems))
	}
	for i, name := range systems {
		if err := checkText(name); err != nil {
			return fmt.Errorf("operating system: %w", err)
		}
		if slices.Contains(systems[:i], name) {
			return fmt.Errorf("operating system %q twice", name)
		}
	}
	return nil
}

// checkTerms checks how an offer is sold.
func checkTerms(o provider.Offer) error {
	switch o.InstanceType {
	case provider.BareMetal, provider.VM, provider.Spot, provider.Cluster:
	default:
		return fmt.Errorf("unknown instance type %.80q", o.InstanceType)
	}
	if o.MinimumRuntime < 0 || o.MinimumRuntime > maxMinimum {
		return fmt.Errorf("minimum runtime of %s", o.MinimumRuntime)
	}
	if o.LaunchLimit < 0 || o.LaunchLimit > maxMinimum {
		return fmt.Errorf("launch limit of %s", o.LaunchLimit)
	}
	if o.HourlyPrice <= 0 || o.HourlyPrice > maxHourlyPrice {
		return fmt.Errorf("hourly price of %s", o.HourlyPrice)
	}
	return nil
}

func checkVolumePrice(p provider.VolumePricing) error {
	switch {
	case !provider.ValidSlug(p.Region):
		return fmt.Errorf("region %.80q is not a slug", p.Region)
	case p.PerGBHour <= 0 || p.PerGBHour > maxPerGBHour:
		return fmt.Errorf("price per GB and hour of %s", p.PerGBHour)
	case p.MinSizeGB < 1 || p.MaxSizeGB < p.MinSizeGB || p.MaxSizeGB > maxGB:
		return fmt.Errorf("sizes from %d to %d GB", p.MinSizeGB, p.MaxSizeGB)
	}
	return nil
}

func checkText(s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return errors.New("is empty")
	case s != strings.TrimSpace(s):
		return fmt.Errorf("%.80q begins or ends with a space", s)
	case len(s) > maxText:
		return fmt.Errorf("is %d bytes long", len(s))
	case !apierr.Printable(s):
		return fmt.Errorf("%.80q is not plain text", s)
	}
	return nil
}

// place identifies an offer of one provider.
type place struct{ region, key string }

// validOffers returns the valid offers by place, how many others there are, and what is wrong with
// the first of them.
func validOffers(offers []provider.Offer) (good map[place]provider.Offer, dropped int, first error) {
	good = make(map[place]provider.Offer, len(offers))
	for _, o := range offers {
		err := checkOffer(o)
		at := place{o.Region, o.Key}
		if _, twice := good[at]; err == nil && twice {
			err = errors.New("is listed twice")
		}
		if err == nil {
			good[at] = o
			continue
		}
		if dropped++; first == nil {
			first = fmt.Errorf("offer %.80q in %.80q: %w", o.Key, o.Region, err)
		}
	}
	return good, dropped, first
}

// validVolumePrices is validOffers for volume prices, by region.
func validVolumePrices(
	prices []provider.VolumePricing,
) (good map[string]provider.VolumePricing, dropped int, first error) {
	good = make(map[string]provider.VolumePricing, len(prices))
	for _, p := range prices {
		err := checkVolumePrice(p)
		if _, twice := good[p.Region]; err == nil && twice {
			err = fmt.Errorf("region %s is listed twice", p.Region)
		}
		if err == nil {
			good[p.Region] = p
			continue
		}
		if dropped++; first == nil {
			first = fmt.Errorf("volume price: %w", err)
		}
	}
	return good, dropped, first
}

// supported returns the capabilities that the adapter implements: an offer may claim more.
func supported(p provider.Provider, a provider.Capabilities) provider.Capabilities {
	if _, ok := p.(provider.Rebooter); !ok {
		a.Reboot = false
	}
	if _, ok := p.(provider.Powerer); !ok {
		a.Power = false
	}
	if _, ok := p.(provider.Reinstaller); !ok {
		a.Reinstall = false
	}
	if _, ok := p.(provider.Rescuer); !ok {
		a.Rescue = false
	}
	if _, ok := p.(provider.Consoler); !ok {
		a.Console = false
	}
	if _, ok := p.(provider.ImageReinstaller); !ok {
		a.CustomImages = false
	}
	if _, ok := p.(provider.VolumeProvider); !ok {
		a.Volumes = false
	}
	return a
}
