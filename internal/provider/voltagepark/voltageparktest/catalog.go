package voltageparktest

import (
	"math/big"
	"net/http"
	"slices"
)

// spot is a location with bare metal.
type spot struct {
	id, city, state, model string
	ethernet, infiniband   int // free GPUs
	priceE, priceI         string
}

func (s *spot) free(network string) *int {
	if network == "infiniband" {
		return &s.infiniband
	}
	return &s.ethernet
}

// rate is the hourly price of a rental of that many GPUs.
func (s *spot) rate(network string, gpus int) string {
	price := s.priceE
	if network == "infiniband" {
		price = s.priceI
	}
	r, _ := new(big.Rat).SetString(price)
	return r.Mul(r, big.NewRat(int64(gpus), 1)).FloatString(6)
}

// preset is a kind of VM.
type preset struct {
	id, model, system, compute, storage string
	gpus                                int
	stock                               map[string]int // by location
}

// total is the hourly price of a VM that runs.
func (p *preset) total() string {
	compute, _ := new(big.Rat).SetString(p.compute)
	storage, _ := new(big.Rat).SetString(p.storage)
	return compute.Add(compute, storage).FloatString(6)
}

func (c *Cloud) stock() {
	c.spots = []*spot{
		{Dallas, "Dallas", "Texas", "h100-sxm5-80gb", 96, 64, "1.99", "2.49"},
		{Seattle, "Seattle", "Washington", "b200-sxm6-180gb", 16, 8, "3.49", "3.99"},
	}
	id := func(n string) string { return n + n + "-" + n + "-" + n + "-" + n + "-" + n + n + n }
	c.presets = []preset{
		{id("3333"), "h100-sxm5-80gb", "TensorML 24 Everything", "1.890000", "0.050000", 1, map[string]int{Dallas: 40}},
		{id("3434"), "h100-sxm5-80gb", "Ubuntu 22.04 LTS", "3.780000", "0.050000", 2, map[string]int{Dallas: 3}},
		{id("3535"), "h100-sxm5-80gb", "Ubuntu 24.04 LTS", "15.120000", "0.100000", 8, map[string]int{}},
		{id("3636"), "b200-sxm6-180gb", "Ubuntu 24.04 LTS", "3.190000", "0.050000", 1, map[string]int{Seattle: 2}},
		{id("3737"), "h100-sxm5-80gb", "Windows 10", "2.190000", "0.050000", 1, map[string]int{Dallas: 2}},
	}
}

// Restock sets the stock of each preset wherever it is sold.
func (c *Cloud) Restock(n int) {
	c.Do(func() {
		for _, p := range c.presets {
			for location := range p.stock {
				p.stock[location] = n
			}
		}
	})
}

func (c *Cloud) getSpots(w http.ResponseWriter, r *http.Request) {
	all := []any{}
	for _, s := range c.spots {
		e, i := s.ethernet, s.infiniband
		if c.NoCapacity {
			e, i = 0, 0
		}
		all = append(all, map[string]any{
			"id": s.id, "gpu_count_ethernet": e, "gpu_price_ethernet": s.priceE,
			"gpu_count_infiniband": i, "gpu_price_infiniband": s.priceI,
			"reserved_gpu_count_infiniband_cluster_one": nil, "reserved_gpu_count_infiniband_cluster_two": nil,
			"specs_per_node": specs(s.model),
		})
	}
	list(w, r, all)
}

func specs(model string) map[string]any {
	return map[string]any{
		"gpu_model": model, "gpu_count": 8, "cpu_model": "Xeon Platinum 8470", "cpu_count": 104,
		"ram_gb": 1024, "storage_gb": 24_000,
	}
}

func (c *Cloud) getNames(w http.ResponseWriter, r *http.Request) {
	if c.nameless {
		refuse(w, http.StatusForbidden, "Not allowed for this token")
		return
	}
	all := []any{}
	for _, s := range c.spots {
		all = append(all, map[string]any{
			"id": s.id, "city": s.city, "region": s.state, "country": "United States", "hostnodes": []any{},
		})
	}
	list(w, r, all)
}

func (p preset) body() map[string]any {
	return map[string]any{
		"id": p.id, "operating_system": p.system, "resources": p.resources(),
		"compute_rate_hourly": p.compute, "storage_rate_hourly": p.storage,
	}
}

func (p preset) resources() map[string]any {
	return map[string]any{
		"gpus": map[string]any{p.model: map[string]int{"count": p.gpus}}, "ram_gb": 200 * p.gpus,
		"storage_gb": 1000, "vcpu_count": 26 * p.gpus,
	}
}

// getVMSpots lists only what is in stock.
func (c *Cloud) getVMSpots(w http.ResponseWriter, r *http.Request) {
	all := []any{}
	for _, s := range c.spots {
		var here []any
		for _, p := range c.presets {
			if n := p.stock[s.id]; n > 0 && !c.NoCapacity {
				body := p.body()
				body["available_vms"] = n
				here = append(here, body)
			}
		}
		if len(here) > 0 {
			all = append(all, map[string]any{"id": s.id, "available_presets": here})
		}
	}
	list(w, r, all)
}

// getPresets returns a bare list.
func (c *Cloud) getPresets(w http.ResponseWriter, _ *http.Request) {
	all := []any{}
	for _, p := range c.presets {
		where := []string{}
		for location, n := range p.stock {
			if n > 0 && !c.NoCapacity {
				where = append(where, location)
			}
		}
		slices.Sort(where)
		body := p.body()
		body["location_ids_with_availability"] = where
		all = append(all, body)
	}
	reply(w, http.StatusOK, all)
}
