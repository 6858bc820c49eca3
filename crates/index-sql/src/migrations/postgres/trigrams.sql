-- Not a step: wanted wherever the extension is at hand. Finds texts by any part of them, so that a pattern that matches
-- little needs no look at all values of an attribute. What is new waits in a short list, and is sorted in together.
CREATE INDEX resource_attribute_by_trigram ON resource_attribute USING gin (text gin_trgm_ops)
    WITH (gin_pending_list_limit = 1024) WHERE text IS NOT NULL;
