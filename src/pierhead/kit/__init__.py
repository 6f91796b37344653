"""Help for the language and asyncio. Knows neither Docker nor Pierhead."""
