package catalog

// GPUName, LinkName, CountryOf and Plain are tested by themselves.
var (
	GPUName   = gpuName
	LinkName  = linkName
	CountryOf = countryOf
	Plain     = plain
)

// GPUNames returns every GPU type of the table, with the sizes of its memory.
func GPUNames() map[string][]int {
	out := map[string][]int{}
	for _, m := range models {
		out[m.maker+" "+m.name] = m.sizes
		for form, sizes := range m.forms {
			out[m.maker+" "+m.name+" "+form] = sizes
		}
	}
	return out
}

// MaxPriceBytes is how much memory the prices of accounts with their own may take.
const MaxPriceBytes = maxPriceBytes

// OwnPrices returns how many lists of own prices are kept, and about how much memory they take.
func (c *Catalog) OwnPrices() (lists int, bytes int64) {
	own := c.now.Load().own
	own.mu.Lock()
	defer own.mu.Unlock()
	return len(own.by), own.bytes
}
